"""How well batches mix documents, and what memory that takes: told before a training, and measured.

Activations of one document resemble each other, so a batch with many of one document says less
than its size promises. Read `Mixing`, then `predict`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from saeflow.activations.order import Order, even
from saeflow.activations.values import TORCH

# A window's rows take 8 bytes each for their order, while the next one's is drawn from 3 arrays.
_INDEX_BYTES = 8 * 4


class Mixing(NamedTuple):
    """What a loader's settings come to.

    Attributes
    ----------
    mates, ideal : float
        Other rows of a batch that are of the same document as a row, on average; and if batches
        were drawn from the whole split at once.
    window_rows : int
        Rows that are mixed with one another.
    page_cache_bytes : int
        Memory for two windows of a mapped store: the system's, which takes it back when needed.
    own_bytes : int
        Memory of the process: two windows of a store that cannot be mapped (one, where
        activations are live), the order of their rows, one batch.
    passes : float
        Where activations are live, how often a token goes through the model in an epoch.
    """

    mates: float
    ideal: float
    window_rows: int
    page_cache_bytes: int
    own_bytes: int
    passes: float = 0.0

    def __str__(self) -> str:
        """Return a line for the log."""
        live = f"; a token goes through the model {self.passes:.2f} times an epoch"
        return (
            f"{self.window_rows:,} rows are mixed at a time: of a batch, {self.mates:.2f} other"
            f" rows share a row's document ({self.ideal:.2f} if all rows were mixed); this takes"
            f" {self.own_bytes / 2**20:,.0f} MiB and {self.page_cache_bytes / 2**20:,.0f} MiB of"
            f" reclaimable cache{live if self.passes else ''}"
        )


def predict(order: Order, batch_size: int, *, unit: str = "document") -> Mixing:
    """Say how an order mixes, from the lengths of the documents alone.

    Parameters
    ----------
    order, batch_size
        The order of the rows, and as many of a batch.
    unit
        Column of the row table whose equal values are mates.

    Notes
    -----
    A window has k of the C chunks and W of the N rows. Of the m document-mates of a row, on
    average, c lie in its own chunk and the others in any chunk, which is in the window with
    probability (k - 1) / (C - 1); so w = c + (m - c) (k - 1) / (C - 1) are in the window. The
    window's rows are given in random order and cut into batches of B at a border that lies
    anywhere: a row has s - 1 companions of its own window in its batch, where

        s = B - B^2 / 3W  (B <= W)  or  W - W^2 / 3B  (B > W)

    is the mean over all pairs of rows of max(0, 1 - distance / B), times W. The other B - s are
    of other windows, so that

        mates = w (s - 1) / (W - 1) + (m - w) (B - s) / (N - W)

    For documents of L rows, shorter than a chunk, and B << W << N that is B L / W: only the size
    of the window counts, not that of its chunks.
    """
    n, n_chunks = int(order.chunk_sizes.sum()), len(order.chunk_sizes)
    of_split, of_chunk = _mean_mates(order, unit)
    mates = 0.0
    for k in even(n_chunks, order.window_chunks):
        rows = n * k / n_chunks
        within = of_chunk + (of_split - of_chunk) * (k - 1) / max(1, n_chunks - 1)
        found = within * _companions(batch_size, rows, n) / max(1.0, rows - 1)
        if rows < n:
            others = min(batch_size, n) - 1 - _companions(batch_size, rows, n)
            found += (of_split - within) * others / (n - rows)
        mates += found * k / n_chunks
    window_rows = order.max_window_rows
    ideal = of_split * min(1.0, (batch_size - 1) / max(1, n - 1))
    memory = _memory(order, window_rows, batch_size)
    return Mixing(float(mates), ideal, window_rows, *memory, _passes(order))


def _companions(batch: int, window: float, n: int) -> float:
    """Return s - 1, the rows of its own window that a row meets in its batch."""
    if window >= n or batch >= n:  # no border that could lie anywhere
        return min(batch, window) - 1
    if batch <= window:
        return max(0.0, batch - batch**2 / (3 * window) - 1)
    return max(0.0, window - window**2 / (3 * batch) - 1)


def measure(
    order: Order, batch_size: int, *, n_batches: int | None = None, unit: str = "document"
) -> float:
    """Count `Mixing.mates` in the first batches themselves, or in all, reading no activation.

    ``order``, ``batch_size`` and ``unit``: as for `predict`.
    """
    values = order.store.rows.read(unit, order.first, order.end)
    pairs = total = 0
    for rows in itertools.islice(_batches(order, batch_size), n_batches):
        counts = np.unique(values[rows - order.first], return_counts=True)[1].astype(np.int64)
        pairs += int((counts * (counts - 1)).sum())
        total += len(rows)
    return pairs / total


def _batches(order: Order, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the rows (n,) of each batch."""
    waiting = np.empty(0, dtype=np.int64)
    for window, _ in order.windows():
        waiting = np.concatenate([waiting, order.rows(window)])
        whole = len(waiting) // batch_size * batch_size
        yield from waiting[:whole].reshape(-1, batch_size)
        waiting = waiting[whole:]
    if len(waiting):
        yield waiting


def _mean_mates(order: Order, unit: str) -> tuple[float, float]:
    """Return a row's mates in the split, and those in its own chunk, averaged over rows.

    NOTE: a document's rows lie together, so that within a chunk they are one run.
    """
    values = order.store.rows.read(unit, order.first, order.end)[order.is_kept]
    ends = np.cumsum(order.chunk_sizes)
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    borders = np.union1d(changes, np.concatenate([[0], ends]))
    runs = np.diff(borders)
    _, document = np.unique(values[borders[:-1]], return_inverse=True)
    sizes = np.bincount(document, weights=runs)
    of_split = float((sizes * (sizes - 1)).sum()) / len(values)
    of_chunk = float((runs * (runs - 1)).sum()) / len(values)
    return of_split, of_chunk


def _passes(order: Order) -> float:
    """Return the tokens that an epoch takes through the model, per row that it gives."""
    activations = order.store.activations
    if not activations.is_live:
        return 0.0
    epoch = itertools.takewhile(lambda found: found[0].key[1] == 0, order.windows())
    tokens = sum(activations.tokens_for(*order.ranges(window)) for window, _ in epoch)
    return tokens / order.n_rows


def _memory(order: Order, window_rows: int, batch_size: int) -> tuple[int, int]:
    """Return the bytes of page cache and of the process' own memory."""
    activations = order.store.activations
    d_model, item = activations.shape[1], TORCH[activations.dtype].itemsize
    own = window_rows * _INDEX_BYTES + batch_size * d_model * (item + 4) + len(order.is_kept)
    window = window_rows * d_model * item
    if activations.mapped is not None:
        return 2 * window, own
    return 0, own + window * (1 if activations.is_live else 2)
