"""Features in words: the texts on which they are most active, the tokens that they speak for.

Read `contexts` and `described`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from saeflow.measures.ablations.feature_facts import Occurrences, excess_kurtosis
from saeflow.measures.answers.lines import Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BEFORE = 12
"""Tokens of a context before the one on which a feature is active."""

_N_TOKENS = 5


def contexts(
    seen: Occurrences,
    shown: pd.DataFrame,
    questions: Sequence[Question],
    tokenizer: PreTrainedTokenizerBase,
    window: int,
) -> pd.DataFrame:
    """Return where features are most active at the ends of prompts, in words.

    The end of a prompt are its last ``window`` ordinary tokens.

    Returns
    -------
    DataFrame
        A row per row of ``shown`` (``latent`` and ``prompt``) where the feature is active, in its
        order: ``latent``, ``prompt``, ``activation``, ``before`` (text up to the token with the
        largest activation) and ``token`` (its text).
    """
    rows = seen.rows.merge(shown, on=["latent", "prompt"])
    start = {p: _start(questions[p], window) for p in rows["prompt"].unique()}
    end = {p: len(questions[p].ids) for p in rows["prompt"].unique()}
    inside = (rows["place"] >= rows["prompt"].map(start)) & (
        rows["place"] < rows["prompt"].map(end)
    )
    best = rows[inside].sort_values("activation", ascending=False, kind="stable")
    best = best.drop_duplicates(["latent", "prompt"]).set_index(["latent", "prompt"])
    found = []
    for latent, prompt in shown[["latent", "prompt"]].itertuples(index=False):
        if (latent, prompt) not in best.index:
            continue  # barely active there: in another batch the last bits were others
        strongest = best.loc[(latent, prompt)]
        text = _texts(questions[prompt], int(strongest["place"]), tokenizer)
        found.append((latent, prompt, float(strongest["activation"]), *text))
    return pd.DataFrame(found, columns=["latent", "prompt", "activation", "before", "token"])


def _start(question: Question, window: int) -> int:
    """Return the first of the last ``window`` ordinary tokens of a prompt."""
    return int(np.flatnonzero(~question.special)[-window:][0])


def _texts(question: Question, place: int, tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    """Return the text before a token, and the token's own with the space that leads to it."""
    ordinary = np.flatnonzero(~question.special[: place + 1])[-_BEFORE - 1 :]
    ids = question.ids[ordinary].tolist()
    before, whole = tokenizer.decode(ids[:-1]), tokenizer.decode(ids)
    if whole.startswith(before):  # else the tokenizer writes a token otherwise before another one
        return before, whole[len(before) :]
    return before, tokenizer.decode(ids[-1:])


def described(
    latents: np.ndarray,
    purity: pd.DataFrame,
    effects: np.ndarray,
    tokenizer: PreTrainedTokenizerBase,
) -> pd.DataFrame:
    """Return what features are about, as far as tokens tell.

    Parameters
    ----------
    purity
        Of these latents (n,), as `Occurrences.purity` returns it.
    effects : (n, vocab_size)
        On the logits; those of ids that the tokenizer does not have are left out.

    Returns
    -------
    DataFrame
        ``latent``; ``top_token``, ``token_purity`` and ``seen``; ``raised`` and ``lowered``, the
        tokens whose logits rise and fall most, without their spaces; ``logit_kurtosis``, the excess
        kurtosis of all effects.
    """
    effects = np.asarray(effects, dtype=np.float64)[:, : len(tokenizer)]
    order = np.argsort(effects, axis=1, kind="stable")
    own = purity.loc[latents]

    def words(ids: Sequence[int] | np.ndarray) -> str:
        found = (tokenizer.decode([int(one)]) for one in ids)
        return " ".join(word.strip() or repr(word) for word in found)

    return pd.DataFrame(
        {
            "latent": latents,
            "top_token": [words([token]) if token >= 0 else "" for token in own["token"]],
            "token_purity": own["token_purity"].to_numpy(),
            "seen": own["seen"].to_numpy(),
            "raised": [words(row[::-1][:_N_TOKENS]) for row in order],
            "lowered": [words(row[:_N_TOKENS]) for row in order],
            "logit_kurtosis": excess_kurtosis(effects),
        }
    )
