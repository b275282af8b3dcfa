"""Whether a model can read a token store: the same vocabulary, and long enough sequences.

Read `check_compatible`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saeflow.errors import ModelError


def check_compatible(model: Mapping[str, Any], tokens: Mapping[str, Any], where: Path) -> None:
    """Raise a `ModelError` where a model would read tokens that mean something else to it.

    Parameters
    ----------
    model, tokens
        What ``model.json`` and ``tokens.json`` say.
    where
        The model's record, for messages.

    Notes
    -----
    The vocabularies are compared by content: the same one under another name is accepted.
    """
    vocabulary = tokens["tokenizer"]["vocabulary_sha256"]
    if model["tokenizer"] not in (None, vocabulary):
        raise ModelError(
            "the tokens were made with another tokenizer than the model's",
            where=where,
            expected=f"vocabulary {model['tokenizer']}",
            got=f"vocabulary {vocabulary}",
            remedy="Remove `tokenizer` from the model's entry: its own then cuts the texts.",
        )
    if tokens["max_token_id"] >= model["vocab_size"]:
        raise ModelError(
            "a token id is outside the model's vocabulary",
            where=where,
            expected=f"ids below {model['vocab_size']}",
            got=tokens["max_token_id"],
            remedy="Remove `tokenizer` from the model's entry: its own then cuts the texts.",
        )
    longest = model["max_positions"]
    if longest is not None and tokens["context_length"] > longest:
        raise ModelError(
            "the sequences are longer than the model's context",
            where=where,
            expected=f"at most {longest} tokens",
            got=tokens["context_length"],
            remedy="Lower the packing's context_length.",
        )
