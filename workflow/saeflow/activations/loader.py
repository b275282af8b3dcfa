"""Batches for training: random, each row once an epoch, and resumable from one number.

Chunks of rows are read in random order, a window of them at a time, and the rows of a window are
permuted. The whole order follows from the seed, so that a position is the number of batches that
were given. Read `Loader` first; `batches_in_order` is for measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from saeflow.activations.array import Activations
from saeflow.activations.reader import Store
from saeflow.errors import DataError, StoreError
from saeflow.tokens.flags import excluded

WINDOW_ROWS = 1 << 20


class _Window(NamedTuple):
    """The rows of a window in their random order: ``source`` indexed by ``order``."""

    source: Activations | torch.Tensor
    order: torch.Tensor

    def take(self, start: int, end: int) -> torch.Tensor:
        if isinstance(self.source, torch.Tensor):
            return self.source.index_select(0, self.order[start:end])
        return self.source.tensor(self.order[start:end])


class Loader:
    """Batches (batch_size, d_model) float32 of a split, without the excluded rows.

    Parameters
    ----------
    store
        Where the rows are.
    split
        train, validation or test.
    batch_size
        Rows of a batch. Only the very last batch is shorter.
    seed
        Of the order.
    window_rows
        Rows that are mixed with one another: more mix better and take more memory.
    epochs
        How often each row is given; every epoch has an order of its own. A batch may hold the
        end of one epoch and the beginning of the next.
    start
        A position that `state` gave.

    Notes
    -----
    About ``batch_size * L / window_rows`` other rows of a batch come from the same sequence,
    for sequences of L tokens whose order is random.
    """

    def __init__(
        self,
        store: Store,
        split: str,
        *,
        batch_size: int,
        seed: int,
        window_rows: int = WINDOW_ROWS,
        epochs: int = 1,
        start: Mapping[str, int] | None = None,
    ) -> None:
        self.store, self.batch_size, self.epochs = store, batch_size, epochs
        self._seed = seed
        first, end = store.ranges(split)
        kept = np.flatnonzero(~excluded(store.rows.flags[first:end]))
        if not len(kept):
            raise DataError(
                f"the {split} split has no token to train on",
                where=store.path,
                remedy=f"Give the dataset a larger {split} share under `splits`.",
            )
        self.n_rows = len(kept)
        chunk_rows = min(store.activations.chunk_rows, window_rows)
        self._chunks = _Chunks(first + kept, chunk_rows)
        self._window_chunks = max(1, window_rows // chunk_rows)
        self._same = {"batch_size": batch_size, "seed": seed, "window_rows": window_rows}
        self._given = self._restored(start)

    def __len__(self) -> int:
        """Return the number of batches, those already given included."""
        return -(-self.n_rows * self.epochs // self.batch_size)

    def state(self) -> dict[str, int]:
        """Return the position, integers only: what `start` takes."""
        return {**self._same, "batches": self._given}

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Yield the batches that were not given yet."""
        with ThreadPoolExecutor(1) as worker:
            parts = self._parts(worker)
            waiting: list[torch.Tensor] = []
            for part in parts:
                waiting.append(part)
                if sum(map(len, waiting)) < self.batch_size:
                    continue
                self._given += 1
                yield waiting[0] if len(waiting) == 1 else torch.cat(waiting)
                waiting = []
            if waiting:
                self._given += 1
                yield torch.cat(waiting)

    def _parts(self, worker: ThreadPoolExecutor) -> Iterator[torch.Tensor]:
        """Yield rows from the present position on, never beyond the end of a batch or window."""
        row = self._given * self.batch_size
        room = self.batch_size
        for window, skip in self._windows(worker, row):
            start = skip
            while start < len(window.order):
                end = min(start + room, len(window.order))
                yield window.take(start, end)
                room = room - (end - start) or self.batch_size
                start = end

    def _windows(self, worker: ThreadPoolExecutor, row: int) -> Iterator[tuple[_Window, int]]:
        """Yield windows from the one that holds ``row`` on, and how many of its rows to skip."""
        upcoming = self._plan(row)
        job, skip = self._ask(worker, upcoming)
        while job is not None:
            window = job.result()
            job, later_skip = self._ask(worker, upcoming)
            yield window, skip
            skip = later_skip

    def _ask(
        self, worker: ThreadPoolExecutor, upcoming: Iterator[tuple[int, int, np.ndarray, int]]
    ) -> tuple[Future[_Window] | None, int]:
        epoch, number, chunks, skip = next(upcoming, (0, 0, None, 0))
        if chunks is None:
            return None, 0
        return worker.submit(self._prepare, epoch, number, chunks), skip

    def _plan(self, row: int) -> Iterator[tuple[int, int, np.ndarray, int]]:
        """Yield epoch, number and chunks of each window after ``row`` rows, and rows to skip."""
        first_epoch, before = divmod(row, self.n_rows)
        for epoch in range(first_epoch, self.epochs):
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self._chunks.sizes))
            for number, start in enumerate(range(0, len(order), self._window_chunks)):
                chunks = order[start : start + self._window_chunks]
                size = int(self._chunks.sizes[chunks].sum())
                if before < size:
                    yield epoch, number, chunks, before
                before = max(0, before - size)

    def _prepare(self, epoch: int, number: int, chunks: np.ndarray) -> _Window:
        """Read a window ahead and draw its order; runs in the worker thread."""
        activations = self.store.activations
        parts = [self._chunks.rows(c) for c in chunks]
        order = np.random.default_rng([self._seed, epoch, number]).permutation(sum(map(len, parts)))
        if activations.mapped is None:
            read = [activations.tensor(slice(p[0], p[-1] + 1))[p - p[0]] for p in parts]
            return _Window(torch.cat(read), torch.from_numpy(order))
        for part in parts:
            activations.populate(int(part[0]), int(part[-1]) + 1)
        return _Window(activations, torch.from_numpy(np.concatenate(parts)[order]))

    def _restored(self, start: Mapping[str, int] | None) -> int:
        if start is None:
            return 0
        if {**start, "batches": 0} != {**self._same, "batches": 0}:
            raise StoreError(
                "this position is of another order of the rows",
                where=self.store.path,
                expected=self._same,
                got=dict(start),
            )
        return start["batches"]


class _Chunks:
    """The kept rows of a split, by the chunk of the store that holds them."""

    def __init__(self, kept: np.ndarray, chunk_rows: int) -> None:
        self._kept = kept
        borders = np.flatnonzero(np.diff(kept // chunk_rows)) + 1
        self._starts = np.concatenate([[0], borders, [len(kept)]])
        self.sizes = np.diff(self._starts)

    def rows(self, chunk: int) -> np.ndarray:
        """Return the kept rows of a chunk, rising, (n,) int64."""
        return self._kept[self._starts[chunk] : self._starts[chunk + 1]]


def batches_in_order(store: Store, split: str, n_rows: int) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield the rows of a split in order, excluded ones as well.

    Parameters
    ----------
    store
        Where the rows are.
    split
        train, validation or test.
    n_rows
        Rows at a time.

    Yields
    ------
    tuple
        Which rows of the store, and their values (n, d_model) float32.
    """
    first, end = store.ranges(split)
    for start in range(first, end, n_rows):
        rows = slice(start, min(start + n_rows, end))
        yield rows, store.activations.tensor(rows)
