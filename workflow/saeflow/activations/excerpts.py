"""Rows of a store in order, for measures: all of a split, or whole documents or sequences.

Each reader gives NumPy or float32 rows of a `Store`, mapped, archived or live alike. Read
`batches_in_order`, then `Spans`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from saeflow.activations.reader import Store
from saeflow.errors import DataError
from saeflow.tokens.flags import excluded


class Spans(NamedTuple):
    """Ranges of rows that belong together, one after the other.

    Attributes
    ----------
    ids : ndarray (n,)
        The document or sequence of each.
    starts, ends : ndarray (n,) int64
        Its first row in the store, and the one after its last.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def part_range(store: Store, split: str, part: str | None = None) -> tuple[int, int]:
    """Return the first row of a part of a split and the one after its last.

    ``part`` is "i/n" for the i-th of n, or None for all of the split (train, validation or test).
    Consecutive documents are a part, whole ones, and the parts have as many rows that are not
    excluded, give or take a document: each border between two is the one nearest to where it would
    be without documents. Too few documents for as many parts are a `DataError`.
    """
    first, end = store.ranges(split)
    if part is None:
        return first, end
    number, n = map(int, part.split("/"))
    starts = documents(store, split).starts
    kept = ~excluded(store.rows.read("flags", first, end))
    sizes = np.add.reduceat(kept, starts - first, dtype=np.int64)
    before = np.concatenate([[0], sizes.cumsum()])
    cuts = before[-1] * np.arange(1, n) / n
    later = np.searchsorted(before, cuts).clip(1, len(starts))
    nearer = cuts - before[later - 1] <= before[later] - cuts
    borders = np.concatenate([[0], later - nearer, [len(starts)]])
    if not (np.diff(before[borders]) > 0).all():
        raise DataError(
            f"the {split} split has too few documents to make {n} parts",
            where=store.path,
            expected=f"{n} documents at least, none of which is much longer than a part",
            got=f"{len(starts)} of at most {int(sizes.max(initial=0)):,} tokens",
            remedy="Ask for fewer parts, or give the dataset more documents.",
        )
    rows = np.append(starts, end)[borders]
    return int(rows[number - 1]), int(rows[number])


def ordinary_rows(store: Store, split: str, part: str | None = None) -> np.ndarray:
    """Return the rows of a split that are not excluded, rising, (n,) int64.

    ``part``: as in `part_range`.
    """
    first, end = part_range(store, split, part)
    return first + np.flatnonzero(~excluded(store.rows.read("flags", first, end)))


def batches_in_order(
    store: Store, split: str, n_rows: int, part: str | None = None
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield which rows of a split in order, excluded ones as well, and their values.

    Slices of ``n_rows`` rows of the store, and (n, d_model) float32; ``part``: as in `part_range`.
    """
    first, end = part_range(store, split, part)
    for start in range(first, end, n_rows):
        rows = slice(start, min(start + n_rows, end))
        yield rows, store.activations.tensor(rows)


def sequences(store: Store, split: str) -> Spans:
    """Return where each sequence of a split lies; ids are numbers of sequences in the store."""
    first, end = store.sequence_range(split)
    offsets = store.rows.read("sequence_offsets", first, end + 1)
    return Spans(np.arange(first, end), offsets[:-1], offsets[1:])


def documents(store: Store, split: str) -> Spans:
    """Return where each document of a split lies; ids are its numbers in the dataset.

    NOTE: a document's rows lie together, also where it goes through several sequences.
    """
    first, end = store.ranges(split)
    document = store.rows.read("document", first, end)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(document)) + 1])[: len(document)]
    ends = np.append(starts[1:], len(document))[: len(starts)]
    return Spans(document[starts], first + starts, first + ends)


def blocks(store: Store, spans: Spans, n_rows: int) -> Iterator[tuple[Spans, torch.Tensor]]:
    """Yield consecutive spans, from `sequences` or `documents`, whole ones only, with their values.

    They have ``n_rows`` at a time, more only where one span alone has more. Values are (n, d_model)
    float32 from the first span's first row on.
    """
    first = 0
    while first < len(spans.ids):
        limit = spans.starts[first] + n_rows
        end = max(first + 1, int(np.searchsorted(spans.ends, limit, side="right")))
        some = Spans(*(column[first:end] for column in spans))
        yield some, store.activations.tensor(slice(int(some.starts[0]), int(some.ends[-1])))
        first = end
