"""For each latent the one of another SAE that is most like it, in both directions in one sweep.

Similarities are computed in tiles that stay in a core's cache, where they are looked through at
once; none is kept. A thread takes some rows at a time and computes alone, so that the sums in a
product do not depend on how many there are. Read `best`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from saeflow.device import one_thread
from saeflow.measures.similarity.cosines import Similar

TILE = 512
"""Rows and columns of a tile: 1 MiB."""


class Best(NamedTuple):
    """The best match of each of n latents.

    Attributes
    ----------
    value : ndarray (n,) float64
    match : ndarray (n,) int64
        The first of those that are equally alike.
    """

    value: np.ndarray
    match: np.ndarray


def best(similar: Similar) -> tuple[Best, Best]:
    """Return the best column of each row, and the best row of each column."""
    n, m = similar.shape
    columns = _Running(m)
    matches = np.concatenate(_by_rows(similar, partial(_look, similar, columns)))
    rows, back = np.arange(n), columns.match
    return (
        Best(similar.values(rows, matches), matches),
        Best(similar.values(back, np.arange(m)), back),
    )


def strongest(similar: Similar, k: int) -> np.ndarray:
    """Return the k best columns of each row, in no order, (n, min(k, m)) int64."""
    m = similar.shape[1]
    k = min(k, m)

    def look(rows: slice) -> np.ndarray:
        tiles = [similar.tile(rows, columns) for columns in _tiles(m)]
        return np.argpartition(np.concatenate(tiles, axis=1), m - k, axis=1)[:, m - k :]

    return np.concatenate(_by_rows(similar, look))


class Held:
    """Similarities (n, m) that are held, because they are needed more than once.

    Parameters
    ----------
    matrix : ndarray (n, m) float32
    source : Similar or None
        What gives single ones more precisely; each pair is asked for once.
    """

    def __init__(self, matrix: np.ndarray, source: Similar | None = None) -> None:
        self.matrix, self.shape, self._source = matrix, matrix.shape, source
        self._pairs, self._precise = np.zeros(0, np.int64), np.zeros(0)

    def tile(self, rows: slice, columns: slice) -> np.ndarray:
        """Return a part of them, float32."""
        return self.matrix[rows, columns]

    def values(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return those of some pairs (k,), float64."""
        if self._source is None:
            return self.matrix[rows, columns].astype(np.float64)
        pairs = rows * self.shape[1] + columns
        new = np.setdiff1d(pairs, self._pairs)
        found = self._source.values(*np.divmod(new, self.shape[1]))
        places = np.searchsorted(self._pairs, new)
        self._pairs = np.insert(self._pairs, places, new)
        self._precise = np.insert(self._precise, places, found)
        return self._precise[np.searchsorted(self._pairs, pairs)]

    def part(self, rows: np.ndarray, columns: np.ndarray) -> Held:
        """Return those between some latents, (len(rows), len(columns))."""
        source = self._source and self._source.part(rows, columns)
        return Held(self.matrix[np.ix_(rows, columns)], source)

    def turned(self) -> Held:
        """Return them with both sides exchanged, (m, n)."""
        return Held(self.matrix.T, self._source and self._source.turned())


def hold(similar: Similar, *, precise: bool = True) -> Held:
    """Compute all similarities and hold them; single ones stay float32 unless ``precise``."""
    n, m = similar.shape
    whole = np.empty((n, m), dtype=np.float32)

    def fill(rows: slice) -> None:
        for columns in _tiles(m):
            whole[rows, columns] = similar.tile(rows, columns)

    _by_rows(similar, fill)
    return Held(whole, similar if precise else None)


def _by_rows(similar: Similar, look: Callable[[slice], Any]) -> list[Any]:
    """Return what a function gives for each block of rows, in order."""
    blocks = _tiles(similar.shape[0])
    with _libraries().limit(limits=1, user_api="blas"), one_thread() as n_threads:
        if min(n_threads, len(blocks)) < 2:
            return [look(rows) for rows in blocks]
        with ThreadPoolExecutor(min(n_threads, len(blocks))) as pool:
            return list(pool.map(look, blocks))


@cache
def _libraries() -> ThreadpoolController:
    """Return what limits the threads of NumPy's products; to look for them takes a while."""
    return ThreadpoolController()


def _tiles(n: int) -> list[slice]:
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


class _Running:
    """The best of what was seen so far for each of some latents; threads add to it."""

    def __init__(self, n: int) -> None:
        self.value = np.full(n, -np.inf, dtype=np.float32)
        self.match = np.zeros(n, dtype=np.int64)
        self._lock = Lock()

    def add(self, columns: slice, tile: np.ndarray, first: int) -> None:
        """Look through a tile whose first row has the number ``first``."""
        value = tile.max(axis=0)
        # what another thread adds meanwhile can only leave fewer
        better = np.flatnonzero(value >= self.value[columns])
        match = first + np.ascontiguousarray(tile[:, better].T).argmax(axis=1)
        at, value = columns.start + better, value[better]
        with self._lock:
            still = value > self.value[at]
            still |= (value == self.value[at]) & (match < self.match[at])
            self.value[at[still]], self.match[at[still]] = value[still], match[still]


def _look(similar: Similar, columns: _Running, rows: slice) -> np.ndarray:
    """Return the best column of each of some rows, and tell the columns of these rows."""
    n = rows.stop - rows.start
    value, match = np.full(n, -np.inf, dtype=np.float32), np.zeros(n, dtype=np.int64)
    for part in _tiles(similar.shape[1]):
        tile = similar.tile(rows, part)
        found = tile.max(axis=1)
        better = np.flatnonzero(found > value)
        value[better] = found[better]
        match[better] = part.start + tile[better].argmax(axis=1)
        columns.add(part, tile, rows.start)
    return match
