"""Logistic regression: its penalty, or how many principal components it reads, chosen on folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, issparse

from saeflow.probing.columns import Sparse, Turned, dense
from saeflow.probing.fitted import Fitted, Linear, Training
from saeflow.probing.newton import TOLERANCE, Minimum, minimise
from saeflow.probing.scores import auc

PENALTIES = tuple((10.0 ** np.linspace(-5, 5, 10)).tolist())
"""Inverse strengths C of the penalty: the grid of Kantamneni et al. 2025."""
UNCHOSEN = 1.0
"""C where nothing is chosen: scikit-learn's default."""
MOST_COMPONENTS, _N_GRID = 100, 10


def logistic(
    training: Training, *, penalties: Sequence[float] = PENALTIES, standardise: bool = True
) -> list[Fitted]:
    """Fit a logistic regression with the penalty that has the best mean AUC on the folds.

    Parameters
    ----------
    training
        Sparse inputs stay sparse, and are standardised.
    penalties
        Inverse strengths C; of equals the first is taken.
    standardise
        Whether the columns of dense inputs are given mean 0 and variance 1, in each fold anew.
    """
    if issparse(training.x):
        fit = _fit_sparse
    else:

        def fit(training: Training, parts: list[np.ndarray], grid: Sequence[float]) -> Fits:
            at, labels = _stacked_parts(training, parts, standardise=standardise)
            return at.fit(labels, grid)

    return [_chosen(training, fit, penalties, UNCHOSEN)]


def pca(training: Training) -> list[Fitted]:
    """Fit a logistic regression (C = 1) on the first principal components of standardised inputs.

    How many is chosen on the folds, of ten numbers up to `MOST_COMPONENTS`; the components are
    those of the fold's own rows.
    """

    def fit(training: Training, parts: list[np.ndarray], grid: Sequence[int]) -> Fits:
        at, labels = _stacked_parts(training, parts, standardise=True)
        return at.fit_components(labels, grid)

    most = min(*training.x.shape, MOST_COMPONENTS)
    grid = np.unique(np.geomspace(1, most, _N_GRID).astype(int))
    return [_chosen(training, fit, grid.tolist(), most)]


class Fits(NamedTuple):
    """What was fitted to each of some groups of rows, with a column for each item of a grid."""

    linear: list[Linear]
    converged: bool


class Stacked(NamedTuple):
    """Groups of rows in arrays of one shape, at their principal axes.

    Attributes
    ----------
    turned : Turned
    counts : ndarray (groups, n)
        1 for a row of the group, 0 where it has fewer than another.
    """

    turned: Turned
    counts: np.ndarray

    @classmethod
    def of(cls, groups: Sequence[np.ndarray], *, standardise: bool) -> Stacked:
        """Stack groups of rows (n, d)."""
        n = max(map(len, groups))
        x, counts = np.zeros((len(groups), n, groups[0].shape[1])), np.zeros((len(groups), n))
        for own, count, rows in zip(x, counts, groups, strict=True):
            own[: len(rows)], count[: len(rows)] = rows, 1
        return cls(Turned.of(x, counts, standardise=standardise), counts)

    def stack(self, labels: Sequence[np.ndarray]) -> np.ndarray:
        """Return labels (n,) of each group as one array (groups, n) bool."""
        found = np.zeros(self.counts.shape, dtype=bool)
        for own, label in zip(found, labels, strict=True):
            own[: len(label)] = label
        return found

    def fit(self, positive: np.ndarray, penalties: Sequence[float]) -> Fits:
        """Fit with each C to each group; labels (groups, n)."""
        ridge = ridge_of(penalties, self.turned.axes.shape[2])
        return self._fits(minimise(self.turned.design, positive, self.counts, ridge))

    def fit_components(self, positive: np.ndarray, grid: Sequence[int]) -> Fits:
        """Fit with `UNCHOSEN` to each number of first components of each group."""
        p = self.turned.axes.shape[2]
        free = np.vstack([np.arange(p)[:, None] < np.asarray(grid), np.ones(len(grid))])
        ridge = ridge_of([UNCHOSEN] * len(grid), p)
        design = self.turned.design
        return self._fits(minimise(design, positive, self.counts, ridge, free.astype(float)))

    def _fits(self, solved: Minimum) -> Fits:
        weights, intercepts = self.turned.linear(solved.weights)
        return Fits(list(map(Linear, weights, intercepts)), bool(solved.converged.all()))


def ridge_of(penalties: Sequence[float], p: int) -> np.ndarray:
    """Return the penalties (p + 1, m) of p weights and a free intercept, for each C."""
    ridge = np.tile(1 / np.asarray(penalties, dtype=float), (p + 1, 1))
    ridge[-1] = 0
    return ridge


def best_of(
    grid: Sequence[float], training: Training, fits: Sequence[Linear], otherwise: float
) -> tuple[float, float]:
    """Return what of a grid has the best mean AUC on the folds, of equals the first; and that AUC.

    ``fits`` are to the part of each fold, for each item of the grid; ``otherwise`` is taken where
    there is no fold.
    """
    if not fits:
        return otherwise, float("nan")
    parts = zip(training.folds, fits, strict=True)
    found = [auc(fit(training.x[f.look]), training.positive[f.look]) for f, fit in parts]
    mean = np.mean(found, axis=0)
    return grid[int(mean.argmax())], float(mean.max())


def _chosen(
    training: Training, fit: Callable[..., Fits], grid: Sequence[float], otherwise: float
) -> Fitted:
    """Fit to the folds, choose of the grid, and fit to all rows."""
    parts = [fold.fit for fold in training.folds]
    fits = fit(training, parts, grid) if parts else Fits([], True)
    chosen, best = best_of(grid, training, fits.linear, otherwise)
    found = fit(training, [np.arange(len(training.positive))], [chosen])
    k = chosen if isinstance(chosen, int) else 0
    return Fitted(found.linear[0].first(), k, best, fits.converged and found.converged)


def _stacked_parts(
    training: Training, parts: Sequence[np.ndarray], *, standardise: bool
) -> tuple[Stacked, np.ndarray]:
    """Return parts of the rows at their axes, made once for all methods; and their labels."""
    key = (standardise, *(part.tobytes() for part in parts))
    if key not in training.kept:
        x = dense(training.x)
        training.kept[key] = Stacked.of([x[part] for part in parts], standardise=standardise)
    at = training.kept[key]
    return at, at.stack([training.positive[part] for part in parts])


def _fit_sparse(
    training: Training, parts: Sequence[np.ndarray], penalties: Sequence[float]
) -> Fits:
    """Fit with each C to each part of sparse rows, one part after the other."""
    ridge = ridge_of(penalties, training.x.shape[1])
    found = [fit_sparse(training.x[part], training.positive[part], ridge) for part in parts]
    return Fits([linear for linear, _ in found], all(done for _, done in found))


def fit_sparse(
    x: csr_matrix, positive: np.ndarray, ridge: np.ndarray, *, tolerance: float = TOLERANCE
) -> tuple[Linear, bool]:
    """Fit to standardised sparse rows with each column of penalties (d + 1, m)."""
    at, counts = Sparse(x), np.ones((1, len(positive)))
    solved = minimise(at, positive[None], counts, ridge, tolerance=tolerance)
    weights, intercepts = at.linear(solved.weights)
    return Linear(weights[0], intercepts[0]), bool(solved.converged.all())
