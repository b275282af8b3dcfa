"""Affine maps that take a concept out of activations, from examples with labels.

LEACE is the one that changes activations least among those after which no linear reader finds the
concept (on the examples that it was made of); a projection along the difference of the classes'
means is the usual one. Everything is float64. Read `leace`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_SMALLEST = 1e-12
"""Of the largest eigenvalue of a covariance: a smaller one is rounding, of data that lie in a
subspace."""


class Eraser(NamedTuple):
    """The map x -> x - ((x - centre) @ read.T) @ taken, which is idempotent.

    Attributes
    ----------
    centre : ndarray (d,) float64
        What stays as it is.
    read : ndarray (k, d) float64
        Functionals that find the concept.
    taken : ndarray (k, d) float64
        Directions that are taken out; ``read @ taken.T`` is the identity.
    """

    centre: np.ndarray
    read: np.ndarray
    taken: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return activations (n, d) without the concept."""
        return x - ((x - self.centre) @ self.read.T) @ self.taken


def leace(
    x: np.ndarray, z: np.ndarray, *, changed: np.ndarray | None = None, shrunk: bool = False
) -> Eraser:
    """Return the least-squares concept eraser of examples.

    Parameters
    ----------
    x : (n, d)
        Activations.
    z : (n,) or (n, m)
        The concept: labels, or columns of an indicator matrix.
    changed : (n_changed, d), optional
        Activations that are to be changed as little as possible, where that is not only done to
        ``x``: those of all tokens, where an eraser of texts' last tokens stands at all of them.
    shrunk
        Whether the covariance is that of Ledoit and Wolf, which is nearer to the true one where
        there are few rows for so many dimensions.

    Returns
    -------
    Eraser
        After which every linear reader of ``x`` that is fitted to ``z`` by a convex loss is
        constant: their cross-covariance is zero, whatever the covariance is taken from.

    Notes
    -----
    Belrose et al. 2023, "LEACE: Perfect linear concept erasure in closed form", theorem 4.3:

        r(x) = x - W⁺ P W (x - E[x]),    W = (Σ_xx^½)⁺,

    with P the orthogonal projection onto the columns of W Σ_xz. Among affine maps with
    Cov(r(x), z) = 0 it minimises E‖r(x) - x‖² in every norm that comes of an inner product. The
    constraint knows Σ_xz alone, the change that is minimised mean and covariance alone, so that
    these may be of other activations: of ``changed``. Shrinkage: Ledoit and Wolf 2004, "A
    well-conditioned estimator for large-dimensional covariance matrices".
    """
    from sklearn.covariance import ledoit_wolf

    x = np.asarray(x, dtype=np.float64)
    z = np.asarray(z, dtype=np.float64).reshape(len(x), -1)
    crossed = (x - x.mean(0)).T @ (z - z.mean(0)) / len(x)
    rows = x if changed is None else np.asarray(changed, dtype=np.float64)
    centre = rows.mean(0)
    apart = rows - centre
    covariance = ledoit_wolf(rows)[0] if shrunk else apart.T @ apart / len(rows)
    values, vectors = np.linalg.eigh(covariance)
    real = values > _SMALLEST * values.max()
    root, vectors = np.sqrt(values[real]), vectors[:, real]
    inside = (vectors.T @ crossed) / root[:, None]  # W Σ_xz in the basis of eigenvectors
    basis = _columns(inside)
    read, taken = basis / root[:, None], basis * root[:, None]
    return Eraser(centre, (vectors @ read).T, (vectors @ taken).T)


def projection(centre: np.ndarray, direction: np.ndarray) -> Eraser:
    """Return the map that gives all activations the component along ``direction`` of the centre.

    Parameters
    ----------
    centre, direction : (d,)
    """
    unit = np.asarray(direction, dtype=np.float64)
    unit = (unit / np.linalg.norm(unit))[None]
    return Eraser(np.asarray(centre, dtype=np.float64), unit, unit)


def mean_difference(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean of the positive examples of x (n, d) minus that of the others, (d,)."""
    x = np.asarray(x, dtype=np.float64)
    return x[labels == 1].mean(0) - x[labels != 1].mean(0)


def _columns(a: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis (d, rank) of the columns of a (d, m)."""
    left, sizes, _ = np.linalg.svd(a, full_matrices=False)
    largest = sizes.max(initial=0.0)
    return left[:, sizes > largest * 1e-9] if largest > 0 else left[:, :0]
