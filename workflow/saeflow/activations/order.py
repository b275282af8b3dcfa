"""The order in which rows are given: chunks at random, windows of them, rows mixed within.

It follows from the seed and from which rows are excluded, never from the values, so that it can
be walked without reading one. Read `Order.windows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from saeflow.activations.excerpts import part_range
from saeflow.activations.reader import Store
from saeflow.errors import DataError
from saeflow.tokens.flags import excluded

WINDOW_ROWS = 1 << 20

# Rows that are read together. Long ones suit disks, and live activations, of which whole forward
# passes are computed; but a window must hold many, or its rows come from few places.
_READ_ROWS = 1 << 14
_WINDOW_PARTS = 64


class Window(NamedTuple):
    """Some chunks whose rows are mixed with one another.

    Attributes
    ----------
    chunks : ndarray (k,) int64
        Which, in the order in which they were drawn.
    starts, ends : ndarray (k,) int64
        Of the ordinary rows of each chunk, the first that is meant and the one after the last.
    key : tuple of int
        What the permutation of its rows is drawn from.
    """

    chunks: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    key: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return int((self.ends - self.starts).sum())

    def mix(self, rows: np.ndarray) -> np.ndarray:
        """Put an array (n,) int64 with an entry per row into the order of the rows, in place."""
        np.random.default_rng(self.key).shuffle(rows)
        return rows


class Order:
    """The random order of a split's ordinary rows, an epoch after the other.

    Parameters
    ----------
    store, split, part
        As of `saeflow.activations.excerpts.part_range`.
    seed
        What the order follows from.
    window_rows
        Rows that are mixed with one another: more mix better and take more memory
        (`saeflow.activations.mixing` says how much of both).
    epochs
        How often each row is given; every epoch has an order of its own.
    rank, world_size
        Of as many processes that share an epoch, which one this is: no row is given by two ranks,
        each is given by one.
    chunk_rows
        Rows that are read together, at least; None for those that lie together in the store.
        Where several stores are read in one order, they have to agree.

    Attributes
    ----------
    first, end, n_rows : int
        Of the split or its part, the first row and the one after the last; rows of this rank.
    is_kept : ndarray (n,) bool
        Which rows from ``first`` on are given at all.
    chunk_sizes : ndarray (n_chunks,) int64
        Such rows in each chunk that has one.
    window_chunks : int
        Chunks that a window may have.
    max_window_rows : int
        No window has more rows.

    Notes
    -----
    The chunks of an epoch, in their random order, are one row of ordinary rows. It is cut into
    ``world_size`` parts of equal length, give or take a row; rank r has the r-th. So no row is in
    two parts, none is in no part, and only the chunks at the cuts are read by two ranks.
    """

    def __init__(
        self,
        store: Store,
        split: str,
        *,
        seed: int,
        window_rows: int = WINDOW_ROWS,
        epochs: int = 1,
        rank: int = 0,
        world_size: int = 1,
        part: str | None = None,
        chunk_rows: int | None = None,
    ) -> None:
        if not 0 <= rank < world_size:
            raise DataError("there is no such rank", expected=f"0 to {world_size - 1}", got=rank)
        self.store, self.split = store, split
        self.first, self.end = part_range(store, split, part)
        self.is_kept = ~excluded(store.rows.flags[self.first : self.end])
        if not self.is_kept.any():
            raise DataError(
                f"the {split} split has no token to train on",
                where=store.path,
                remedy=f"Give the dataset a larger {split} share under `splits`.",
            )
        self._seed, self._epochs, self._rank = seed, epochs, rank
        chunk_rows = read_rows(chunk_rows or store.activations.chunk_rows, window_rows)
        first, end = self.first, self.end
        borders = np.arange(first // chunk_rows, -(-end // chunk_rows) + 1) * chunk_rows
        borders = borders.clip(first, end)
        sizes = np.add.reduceat(self.is_kept, borders[:-1] - first, dtype=np.int64)
        some = sizes > 0
        self.chunk_sizes = sizes[some]
        self._starts, self._ends = borders[:-1][some], borders[1:][some]
        total = int(self.chunk_sizes.sum())
        self._mine = total * rank // world_size, total * (rank + 1) // world_size
        self.n_rows = self._mine[1] - self._mine[0]
        self.window_chunks = max(1, window_rows // chunk_rows)
        self.max_window_rows = min(self.window_chunks * chunk_rows, self.n_rows)

    def windows(self, row: int = 0) -> Iterator[tuple[Window, int]]:
        """Yield windows from that of the ``row``-th row on, and how many rows come before it."""
        if not self.n_rows:
            return
        first_epoch, before = divmod(row, self.n_rows)
        for epoch in range(first_epoch, self._epochs):
            for window in self._windows_of(epoch):
                if before < len(window):
                    yield window, before
                before = max(0, before - len(window))

    def _windows_of(self, epoch: int) -> Iterator[Window]:
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self.chunk_sizes))
        ends = np.cumsum(self.chunk_sizes[order])
        starts = ends - self.chunk_sizes[order]
        part_start, part_end = self._mine
        mine = (ends > part_start) & (starts < part_end)
        chunks = order[mine]
        base = starts[mine]
        starts = base.clip(part_start) - base
        ends = ends[mine].clip(max=part_end) - base
        borders = np.cumsum([0, *even(len(chunks), self.window_chunks)])
        for number, these in enumerate(map(slice, borders[:-1], borders[1:])):
            key = (self._seed, epoch, number, *([self._rank] if self._rank else []))
            yield Window(chunks[these], starts[these], ends[these], key)

    def parts(self, window: Window) -> list[np.ndarray]:
        """Return the rows of each chunk of a window, rising, (n,) int64 each."""
        found = []
        for chunk, start, end in zip(window.chunks, window.starts, window.ends, strict=True):
            first = self._starts[chunk]
            kept = self.is_kept[first - self.first : self._ends[chunk] - self.first]
            found.append(first + np.flatnonzero(kept)[start:end])
        return found

    def ranges(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Return where each chunk of a window starts and ends in the store, (k,) int64 each."""
        return self._starts[window.chunks], self._ends[window.chunks]

    def rows(self, window: Window) -> np.ndarray:
        """Return the rows of a window in the order in which they are given, (n,) int64."""
        return window.mix(np.concatenate(self.parts(window)))


def read_rows(chunk_rows: int, window_rows: int) -> int:
    """Return how many rows are read together: whole chunks of the store where a window has room."""
    wanted = min(_READ_ROWS, window_rows // _WINDOW_PARTS)
    return min(max(1, wanted // chunk_rows) * chunk_rows, window_rows)


def even(n: int, most: int) -> np.ndarray:
    """Divide ``n`` into as few numbers of at most ``most`` as there must be, equal but for one.

    NOTE: were only the last one smaller, it could be a window that hardly mixes.
    """
    parts = -(-n // most)
    return np.diff(np.arange(parts + 1) * n // max(1, parts))
