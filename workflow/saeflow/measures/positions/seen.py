"""The tokens of documents that an SAE was trained on, and of others.

Documents are numbered in their dataset, so those of two packings of one dataset are known to be the
same. Read `Part`, `seen`, `why_unseen`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from saeflow.measures.exchange import SPLIT, require_scored
from saeflow.metrics.positions import HELD_OUT, SEEN
from saeflow.tokens.flags import excluded
from saeflow.tokens.sequences import Sequences
from saeflow.tokens.store import TokenStore

TRAINED_SPLIT = "train"
_BLOCK_TOKENS = 1 << 20
_BLOCK_SEQUENCES = 1 << 12


class Part(NamedTuple):
    """Sequences of a token store that are measured together.

    Attributes
    ----------
    name : str
        `HELD_OUT` or `SEEN`.
    tokens : Sequences
    rows : ndarray (n_tokens,) int64
        The place of each token in the store, rising.
    """

    name: str
    tokens: Sequences
    rows: np.ndarray

    @property
    def positions(self) -> np.ndarray:
        """The number of tokens before each one in its sequence, (n_tokens,) int64."""
        starts = self.tokens.offsets[:-1]
        return np.arange(len(self.rows)) - np.repeat(starts, np.diff(self.tokens.offsets))


def held_out(store: TokenStore, tokens: Sequences, n_tokens: int | None = None) -> Part:
    """Return the first of some sequences of the test split, which begin with its first.

    They are as many as have ``n_tokens``; None for all.

    A `DataError` if none of these can be predicted.
    """
    if n_tokens is not None:
        tokens = tokens.first(n_tokens)
    require_scored(tokens)
    first, _ = store.token_range(SPLIT)
    return Part(HELD_OUT, tokens, first + np.arange(len(tokens.token_ids)))


def seen(store: TokenStore, trained: TokenStore, n_tokens: int) -> Part:
    """Return the first sequences of the training split all of whose documents were trained on.

    They are taken from ``store`` until they have ``n_tokens``, or all are; ``trained`` are the
    tokens that an SAE was trained on, of the same dataset. Without any sequence where no document
    was.
    """
    same = store.record["identity"] == trained.record["identity"]
    known = None if same else _documents(trained)
    chosen: list[np.ndarray] = []
    left = n_tokens
    for offsets in _offsets(store):
        inside = _all_known(store, offsets, known)
        lengths = np.where(inside, np.diff(offsets), 0)
        wanted = np.flatnonzero(inside & (np.cumsum(lengths) - lengths < left))
        chosen += [np.arange(offsets[i], offsets[i + 1]) for i in wanted]
        left -= int(lengths[wanted].sum())
        if left <= 0:
            break
    lengths = np.array([len(rows) for rows in chosen], dtype=np.int64)
    rows = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    read = {name: _taken(store, name, rows) for name in ("token_id", "document", "flags")}
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = Sequences(read["token_id"], read["document"], excluded(read["flags"]), offsets)
    return Part(SEEN, tokens, rows)


def why_unseen(
    sae: Mapping[str, Any], store: TokenStore, trained: TokenStore | None, *, asked: bool = True
) -> str:
    """Return why no documents of an SAE's training are measured, in words; "" if they are.

    Parameters
    ----------
    sae
        What its header says.
    store, trained
        The tokens that it is measured on, and those that it was trained on, where they are of the
        same dataset.
    asked
        Whether they are wanted.
    """
    first, end = store.token_range(TRAINED_SPLIT)
    if not asked:
        return "not asked for"
    if "imported" in sae:
        return "it was trained elsewhere"
    if not sae.get("training", {}).get("tokens"):
        return "it was not trained"
    if trained is None or trained.record["identity"] != sae.get("tokens"):
        return "it was trained on another dataset"
    return "" if end > first else "they are not among the sequences that it is measured on"


def trained_share(sae: Mapping[str, Any], trained: TokenStore) -> float:
    """Return which share of the tokens of its documents an SAE was trained on, at most 1."""
    flags = (trained.read("flags", *block) for block in _blocks(trained))
    n = sum(int((~excluded(part)).sum()) for part in flags)
    return min(1.0, sae["training"]["tokens"] / n)


def _documents(trained: TokenStore) -> np.ndarray:
    """Return the documents of a store's training split, sorted."""
    parts = (np.unique(trained.read("document", *block)) for block in _blocks(trained))
    return np.unique(np.concatenate([np.empty(0, np.uint32), *parts]))


def _blocks(store: TokenStore) -> Iterator[tuple[int, int]]:
    """Yield ranges of tokens of a store's training split."""
    first, end = store.token_range(TRAINED_SPLIT)
    for start in range(first, end, _BLOCK_TOKENS):
        yield start, min(start + _BLOCK_TOKENS, end)


def _offsets(store: TokenStore) -> Iterator[np.ndarray]:
    """Yield where the sequences of the training split begin and end, some at a time."""
    first, end = store.sequence_range(TRAINED_SPLIT)
    for start in range(first, end, _BLOCK_SEQUENCES):
        stop = min(start + _BLOCK_SEQUENCES, end)
        yield store.read("sequence_offsets", start, stop + 1)


def _all_known(store: TokenStore, offsets: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """Return of sequences whether all of their documents are among ``known``, (n,) bool."""
    if known is None:
        return np.ones(len(offsets) - 1, dtype=bool)
    documents = store.read("document", int(offsets[0]), int(offsets[-1]))
    return np.logical_and.reduceat(np.isin(documents, known), offsets[:-1] - offsets[0])


def _taken(store: TokenStore, name: str, rows: np.ndarray) -> np.ndarray:
    """Return a column's values at rising places."""
    if not len(rows):
        return store.read(name, 0, 0)
    return store.read(name, int(rows[0]), int(rows[-1]) + 1)[rows - rows[0]]
