"""Inputs of probes as their solver takes them: centred, at unit size, in a basis of few numbers.

A penalty on the squares of weights is the same in every orthonormal basis, so a dense input is
turned to its principal axes, where fits take few steps, and weights are turned back. A sparse one
stays sparse: what standardising takes off its columns goes into the products. An intercept is the
last weight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, issparse

from saeflow.probing.newton import Dense

Matrix = np.ndarray | csr_matrix


def size_of(x: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of columns (groups, d) over rows that count.

    The deviation is 1 where a column does not vary, so that it becomes zeros.

    Parameters
    ----------
    x : ndarray (groups, n, d) float64
    counts : ndarray (groups, n)
    """
    n = counts.sum(1)[:, None]
    mean = (counts[:, None, :] @ x)[:, 0] / n
    apart = (x - mean[:, None]) * counts[:, :, None]
    return mean, _scale((apart * apart).sum(1) / n, np.abs(mean))


def _scale(variance: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return standard deviations, 1 for what only rounding tells from a constant."""
    found = np.sqrt(variance)
    return np.where(found > 1e-10 * mean, found, 1.0)


class Turned(NamedTuple):
    """Dense rows at their principal axes.

    Attributes
    ----------
    design : Dense
        The rows, p axes by falling variance, and a column of ones.
    axes : ndarray (groups, d, p)
        Orthonormal.
    mean, scale : ndarray (groups, d)
        What is taken off the columns, and what they are divided by.
    """

    design: Dense
    axes: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, counts: np.ndarray, *, standardise: bool) -> Turned:
        """Turn rows x (groups, n, d) float64, of which some count, (groups, n)."""
        mean, scale = size_of(x, counts)
        if not standardise:
            scale = np.ones_like(scale)
        x = (x - mean[:, None]) / scale[:, None] * counts[:, :, None]
        n, d = x.shape[1:]
        if n < d:
            axes, x = np.linalg.qr(x.transpose(0, 2, 1))
            x = np.ascontiguousarray(x.transpose(0, 2, 1))
        _, turn = np.linalg.eigh(x.transpose(0, 2, 1) @ x)
        turn = np.ascontiguousarray(turn[:, :, ::-1])
        axes = axes @ turn if n < d else turn
        return cls(Dense(np.concatenate([x @ turn, counts[:, :, None]], axis=2)), axes, mean, scale)

    def linear(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights of the columns (groups, d, m) and intercepts (groups, m).

        Parameters
        ----------
        weights : ndarray (groups, p + 1, m)
            Those of the axes, and the intercept.
        """
        own = (self.axes @ weights[:, :-1]) / self.scale[:, :, None]
        return own, weights[:, -1] - (self.mean[:, None] @ own)[:, 0]


class Sparse:
    """Sparse rows, standardised without being made dense: one group, all rows count.

    Parameters
    ----------
    x : csr_matrix (n, d)

    Attributes
    ----------
    squares : ndarray (1, d + 1)
        As of `saeflow.probing.newton.Design`.
    """

    def __init__(self, x: csr_matrix) -> None:
        x = x.astype(np.float64)
        n = x.shape[0]
        self._mean = np.asarray(x.mean(0)).ravel()
        sums = np.asarray(x.multiply(x).sum(0)).ravel()
        # of a column with n entries the squares of its deviations, entry by entry: no cancellation
        apart = x.tocsc(copy=True)
        apart.data -= np.repeat(self._mean, np.diff(apart.indptr))
        apart.data **= 2
        zeros = n - np.diff(apart.indptr)
        variance = (np.asarray(apart.sum(0)).ravel() + zeros * self._mean**2) / n
        self._scale = _scale(variance, np.abs(self._mean))
        self._x, self._turned = x, x.T.tocsr()
        varies = (variance > 0) & (sums > 0)
        self.squares = np.append(np.where(varies, n * variance / self._scale**2, 0.0), n)[None]
        self.squares = np.maximum(self.squares, np.finfo(float).tiny)

    def forward(self, w: np.ndarray) -> np.ndarray:
        """Return x w (1, n, m) of weights (1, d + 1, m)."""
        own = w[0, :-1] / self._scale[:, None]
        return (self._x @ own + (w[0, -1] - self._mean @ own))[None]

    def back(self, v: np.ndarray) -> np.ndarray:
        """Return x' v (1, d + 1, m) of v (1, n, m)."""
        total = v[0].sum(0)
        own = (self._turned @ v[0] - self._mean[:, None] * total) / self._scale[:, None]
        return np.concatenate([own, total[None]])[None]

    def linear(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights of the columns (1, d, m) and intercepts (1, m), as `Turned.linear`."""
        own = weights[:, :-1] / self._scale[:, None]
        return own, weights[:, -1] - self._mean @ own[0]


def varying(x: Matrix) -> np.ndarray:
    """Return which columns (d,) bool of a matrix (n, d) are not constant."""
    if not x.shape[0]:
        return np.zeros(x.shape[1], dtype=bool)
    if not issparse(x):
        return (x != x[:1]).any(0)
    high, low = (np.asarray(part.todense()).ravel() for part in (x.max(0), x.min(0)))
    return high != low


def dense(x: Matrix) -> np.ndarray:
    """Return a matrix as a dense array, float64."""
    return np.asarray(x.toarray() if issparse(x) else x, dtype=np.float64)
