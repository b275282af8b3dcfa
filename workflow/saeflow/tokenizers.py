"""Tokenizers as directories with a record, and the hash by which two of them are compared.

Read `vocabulary_sha256` first. Training one on the built-in world is `saeflow.world`'s.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saeflow.errors import ModelError, first_line
from saeflow.files import canonical_json, sha256_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from saeflow.work import Work

# config.json: without a tokenizer_class, AutoTokenizer goes by the model's type.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "config.json",
)


def vocabulary_sha256(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a hash of what token ids mean: the vocabulary and its special roles.

    Notes
    -----
    Two tokenizers with this in common give ids that mean the same to a model, whatever their
    names. Padding is left out: it is never stored, and everybody sets it at will.
    """
    facts = {
        "vocabulary": tokenizer.get_vocab(),
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "unk": tokenizer.unk_token_id,
    }
    return sha256_text(canonical_json(facts))


def describe_tokenizer(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return the record of a tokenizer, without its identity and bulk."""
    return {
        "vocab_size": len(tokenizer),
        "bos_id": tokenizer.bos_token_id,
        "eos_id": tokenizer.eos_token_id,
        "pad_id": tokenizer.pad_token_id,
        "special_ids": sorted({int(i) for i in tokenizer.all_special_ids}),
        "vocabulary_sha256": vocabulary_sha256(tokenizer),
    }


def has_tokenizer(directory: Path) -> bool:
    """Return whether a directory holds a tokenizer."""
    names = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
    return any((Path(directory) / name).is_file() for name in names)


def tokenizer_from_directory(directory: Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer from local files, with no code of its own."""
    from transformers import AutoTokenizer

    if not has_tokenizer(directory):
        raise ModelError(
            "there is no tokenizer in this directory",
            where=directory,
            expected="tokenizer.json or the files it is made from",
        )
    try:
        return AutoTokenizer.from_pretrained(
            Path(directory), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever the many readers raise, the files are the reason
        raise ModelError(
            "the tokenizer cannot be loaded",
            where=directory,
            got=f"{type(error).__name__}: {first_line(error)}",
            remedy="Save it as tokenizer.json (a fast tokenizer), or install what it asks for.",
        ) from error


def publish_tokenizer(work: Work, source: Path) -> None:
    """Copy a tokenizer into a work directory and finish it with its record, unless it is finished.

    The source is a directory that AutoTokenizer reads: a model's bulk, a local one.
    """
    if work.finished:
        return
    for name in TOKENIZER_FILES:
        if (Path(source) / name).is_file():
            shutil.copyfile(Path(source) / name, work.path / name)
    work.finish(describe_tokenizer(tokenizer_from_directory(work.path)))
