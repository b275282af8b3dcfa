"""Cosines between two sets of directions, a tile at a time. Read `Cosines`."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

_ROWS = 1024


class Similar(Protocol):
    """Similarities (n, m) of the latents of two SAEs, which nobody needs to hold at once."""

    shape: tuple[int, int]

    def tile(self, rows: slice, columns: slice) -> np.ndarray:
        """Return a part of them, float32; threads may ask at once."""

    def values(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return those of some pairs (k,), float64."""

    def part(self, rows: np.ndarray, columns: np.ndarray) -> Similar:
        """Return those between some latents, (len(rows), len(columns))."""

    def turned(self) -> Similar:
        """Return them with both sides exchanged, (m, n)."""


class Cosines(NamedTuple):
    """The cosines between the rows of two matrices.

    Attributes
    ----------
    a, b : ndarray (n, d) and (m, d) float32
        Rows of length 1, or 0; see `unit`.
    """

    a: np.ndarray
    b: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows of both."""
        return len(self.a), len(self.b)

    def tile(self, rows: slice, columns: slice) -> np.ndarray:
        """Return a part of the cosines, float32."""
        return self.a[rows] @ self.b[columns].T

    def values(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the cosines of some pairs (k,), to the precision of the rows, float64."""
        found = np.empty(len(rows))
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            a, b = self.a[rows[part]].astype(np.float64), self.b[columns[part]].astype(np.float64)
            norms = np.sqrt(np.einsum("id,id->i", a, a) * np.einsum("id,id->i", b, b))
            inner = np.einsum("id,id->i", a, b)
            found[part] = np.divide(inner, norms, out=np.zeros_like(inner), where=norms > 0)
        return np.clip(found, -1.0, 1.0)

    def part(self, rows: np.ndarray, columns: np.ndarray) -> Cosines:
        """Return the cosines between some rows of both."""
        return Cosines(self.a[rows], self.b[columns])

    def turned(self) -> Cosines:
        """Return the cosines with both sides exchanged."""
        return Cosines(self.b, self.a)


def unit(rows: np.ndarray) -> np.ndarray:
    """Return rows (n, d) scaled to length 1, float32; those of length 0 stay."""
    wide = np.asarray(rows, dtype=np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0).astype(np.float32)
