"""What a token is besides a word: one bit each, and the one policy that says what to leave out.

A flag follows from the token's id, or from its having been put there by the packing; never from
its position in a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BOS = 1
EOS = 2  # or a separator of documents, whatever it is made of
PAD = 4  # never stored: a reader that pads sets it on its own copy
SPECIAL = 8

POLICY = {"bos": BOS, "eos": EOS, "pad": PAD, "special": SPECIAL}
"""The kinds of tokens that are left out everywhere."""


def excluded(flags: np.ndarray) -> np.ndarray:
    """Return which tokens no SAE is trained on or judged by, (n,) bool, by flags (n,) uint8."""
    return (np.asarray(flags) & sum(POLICY.values())) != 0


def flags_of(
    token_id: np.ndarray,
    *,
    bos_id: int | None,
    eos_id: int | None,
    special_ids: Sequence[int],
) -> np.ndarray:
    """Return the flags (n,) uint8 that follow from token ids (n,).

    Parameters
    ----------
    token_id, bos_id, eos_id
        Ids of the special tokens are None where the tokenizer has none; they may be the same.
    special_ids
        All special ids. Those that are neither BOS nor EOS are flagged `SPECIAL`.
    """
    flags = np.zeros(len(token_id), dtype=np.uint8)
    if bos_id is not None:
        flags[token_id == bos_id] |= BOS
    if eos_id is not None:
        flags[token_id == eos_id] |= EOS
    others = sorted(set(special_ids) - {bos_id, eos_id})
    if others:
        flags[np.isin(token_id, others)] |= SPECIAL
    return flags
