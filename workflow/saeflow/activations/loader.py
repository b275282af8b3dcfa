"""Batches for training: random, each row once an epoch, and resumable from one number.

The order is `saeflow.activations.order`'s; here rows are read in it, at the speed of memory:
what comes next is brought in ahead, and nothing is allocated for a batch. Read `Loader`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from saeflow.activations.order import WINDOW_ROWS, Order, Window
from saeflow.activations.reader import Store
from saeflow.activations.values import TORCH, bits
from saeflow.errors import StoreError

_PROCESS = os.getpid()


class _Ready(NamedTuple):
    """A window to take rows from: the ``order``-th ones of ``source`` (bits)."""

    source: torch.Tensor
    order: torch.Tensor


class Loader:
    """Batches (batch_size, d_model) float32 of a split, without the excluded rows.

    Parameters
    ----------
    store, split, seed, window_rows, epochs, rank, world_size, part, chunk_rows
        As of `saeflow.activations.order.Order`. A batch may hold the end of one epoch and the
        beginning of the next. Ranks differ by one row at most, and so by one batch at most.
    batch_size
        Rows of a batch. Only the very last batch is shorter.
    start
        A position that `state` gave.
    device
        Where the batches are wanted. Elsewhere than on the CPU they arrive in the dtype of the
        store, which is the least to transfer, and are converted there.

    Attributes
    ----------
    order, n_rows
        The `Order` in which rows come, and as many of an epoch.

    Notes
    -----
    A batch lies in memory that the loader uses again: it is valid until the next one is asked
    for. Clone what must live longer.

    A loader can be used after a fork, and by several processes at once; an iteration that began
    before a fork cannot be continued behind it.
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
        rank: int = 0,
        world_size: int = 1,
        part: str | None = None,
        chunk_rows: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.store, self.batch_size, self.epochs = store, batch_size, epochs
        same = {"seed": seed, "window_rows": window_rows, "rank": rank, "world_size": world_size}
        self.order = Order(store, split, epochs=epochs, part=part, chunk_rows=chunk_rows, **same)
        self.n_rows = self.order.n_rows
        ends = {"first": self.order.first, "end": self.order.end}
        self._same = {"batch_size": batch_size, **same, **ends}
        self._device = torch.device(device)
        self._given = self._restored(start)

    def __len__(self) -> int:
        """Return the number of batches, those already given included."""
        return -(-self.n_rows * self.epochs // self.batch_size)

    def state(self) -> dict[str, int]:
        """Return the position, integers only: what `start` takes."""
        return {**self._same, "batches": self._given}

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Yield the batches that were not given yet."""
        dtype = TORCH[self.store.activations.dtype]
        values: torch.Tensor | None = None
        for stored in self.stored_batches():
            if dtype == torch.float32 or self._device.type != "cpu":
                yield stored.to(self._device).float()
                continue
            if values is None:
                values = torch.empty(self.batch_size, stored.shape[1])
            yield values[: len(stored)].copy_(stored)

    def stored_batches(self) -> Iterator[torch.Tensor]:
        """Yield the batches that were not given yet, on the CPU in the dtype of the store."""
        _use_one_thread_after_fork()
        process, activations = os.getpid(), self.store.activations
        batch, filled = self._room(self.batch_size), 0
        for (source, order), skip in self._windows(self._given * self.batch_size):
            while skip < len(order):
                n = min(self.batch_size - filled, len(order) - skip)
                torch.index_select(
                    source, 0, order[skip : skip + n], out=batch[filled : filled + n]
                )
                filled, skip = filled + n, skip + n
                if filled == self.batch_size:
                    filled = 0
                    self._given += 1
                    yield batch.view(TORCH[activations.dtype])
                    _check_process(process)
        if filled:
            self._given += 1
            yield batch[:filled].view(TORCH[activations.dtype])

    def _room(self, n_rows: int) -> torch.Tensor:
        """Return memory for rows (n_rows, d_model), as bits."""
        activations = self.store.activations
        bits = {2: torch.int16, 4: torch.int32}[TORCH[activations.dtype].itemsize]
        return torch.empty(n_rows, activations.shape[1], dtype=bits)

    def _windows(self, row: int) -> Iterator[tuple[_Ready, int]]:
        """Yield windows from the one that holds ``row`` on, and how many of its rows to skip."""
        activations, upcoming = self.store.activations, self.order.windows(row)
        mapped = activations.mapped is not None
        if activations.is_live:  # a thread beside this one would only take its cores
            room = self._room(self.order.max_window_rows)
            for window, skip in upcoming:
                yield self._read(window, room), skip
            return
        # One window is given while the next is read into the other room.
        rooms = [None if mapped else self._room(self.order.max_window_rows) for _ in range(2)]
        with ThreadPoolExecutor(1) as worker:
            job = None
            for number, (window, skip) in enumerate(upcoming):
                later = worker.submit(self._prepare, window, rooms[number % 2]), skip
                if job is not None:
                    yield job[0].result(), job[1]
                job = later
            if job is not None:
                yield job[0].result(), job[1]

    def _prepare(self, window: Window, room: torch.Tensor | None) -> _Ready:
        """Make a window ready; runs in the worker thread."""
        if room is not None:
            return self._read(window, room)
        activations = self.store.activations
        for start, end in zip(*self.order.ranges(window), strict=True):
            activations.populate(int(start), int(end))
        whole = bits(activations.raw(slice(None)))
        return _Ready(whole, torch.from_numpy(self.order.rows(window)))

    def _read(self, window: Window, room: torch.Tensor) -> _Ready:
        """Read the rows of a window into ``room``, the chunks as they lie in the store."""
        parts = self.order.parts(window)
        starts = np.cumsum([0, *map(len, parts)])
        for i in np.argsort([part[0] for part in parts]):
            part = parts[i]
            found = bits(self.store.activations.raw(slice(int(part[0]), int(part[-1]) + 1)))
            torch.index_select(
                found, 0, torch.from_numpy(part - part[0]), out=room[starts[i] : starts[i + 1]]
            )
        return _Ready(room, torch.from_numpy(window.mix(np.arange(starts[-1]))))

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


def _use_one_thread_after_fork() -> None:
    """Compute with one thread in a forked process.

    NOTE: OpenMP's threads stay behind in the parent, and the first parallel loop of the child
    would wait for them for ever; torch's own DataLoader does the same.
    """
    if os.getpid() != _PROCESS:
        torch.set_num_threads(1)


def _check_process(process: int) -> None:
    if os.getpid() != process:
        raise StoreError(
            "an iteration that began before a fork cannot go on behind it",
            got=f"process {os.getpid()}",
            remedy="Make a loader in each process; `start=loader.state()` continues.",
        )
