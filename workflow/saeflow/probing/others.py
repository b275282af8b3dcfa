"""Other probes: nearest neighbours, boosted trees, a small network, and the post's own pipeline."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.sparse import issparse

from saeflow.probing.columns import Matrix, dense, size_of
from saeflow.probing.fitted import Fitted, Training
from saeflow.probing.logistic import fit_sparse
from saeflow.probing.scores import auc

PUBLISHED_C, _PUBLISHED_STEPS = 0.01, 50
_PUBLISHED_TOLERANCE = 1e-8
_MOST_NEIGHBOURS, _N_GRID = 100, 10
_LEAST_SHARE = 1e-12
_HIDDEN, _DECAY, _MOST_STEPS, _TOLERANCE = 32, 1.0, 1000, 1e-3


def published(training: Training) -> list[Fitted]:
    """Fit as the post does: standardised inputs, C = 0.01, and a penalty on the intercept too.

    Dense inputs go through scikit-learn's StandardScaler and liblinear themselves. Sparse ones stay
    sparse; the minimum of the same objective is found for them, where liblinear stops close to it.
    """
    x, positive = training.x, training.positive
    if issparse(x):
        ridge = np.full((x.shape[1] + 1, 1), 1 / PUBLISHED_C)
        linear, converged = fit_sparse(x, positive, ridge, tolerance=_PUBLISHED_TOLERANCE)
        return [Fitted(linear.first(), converged=converged)]
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(
        solver="liblinear", C=PUBLISHED_C, max_iter=_PUBLISHED_STEPS, random_state=0
    )
    found = make_pipeline(StandardScaler(), model).fit(dense(x), positive)
    converged = int(model.n_iter_.max()) < _PUBLISHED_STEPS
    return [Fitted(lambda rows: found.decision_function(dense(rows)), converged=converged)]


def knn(training: Training) -> list[Fitted]:
    """Take the share of positive ones among the nearest neighbours, in standardised inputs.

    How many neighbours is chosen on the folds, of ten numbers up to `_MOST_NEIGHBOURS`; without
    folds it is one.
    """
    x, positive, folds = dense(training.x), training.positive, training.folds
    chosen, best = 1, float("nan")
    if folds:
        most = min(_MOST_NEIGHBOURS, *(len(fold.fit) for fold in folds))
        grid = np.unique(np.geomspace(1, most, _N_GRID).astype(int))
        found = []
        for fold in folds:
            shares = _Neighbours(x[fold.fit], positive[fold.fit]).shares(x[fold.look], grid)
            found.append(auc(shares, positive[fold.look]))
        mean = np.mean(found, axis=0)
        chosen, best = int(grid[mean.argmax()]), float(mean.max())
    neighbours = _Neighbours(x, positive)
    return [Fitted(lambda rows: neighbours.shares(rows, [chosen])[:, 0] - 0.5, chosen, best)]


class _Neighbours:
    """The rows of a training set, standardised by it."""

    def __init__(self, x: np.ndarray, positive: np.ndarray) -> None:
        (self._mean,), (self._scale,) = size_of(x[None], np.ones((1, len(x))))
        self._x, self._positive = self._sized(x), positive
        self._norms = (self._x**2).sum(1)

    def _sized(self, x: np.ndarray) -> np.ndarray:
        return (x - self._mean) / self._scale

    def shares(self, x: Matrix, grid) -> np.ndarray:
        """Return the share (n, n_grid) of positive ones among each number of neighbours."""
        x = self._sized(dense(x))
        distances = self._norms - 2 * x @ self._x.T  # squared, up to what a row has in common
        near, most = np.arange(len(self._x))[None], max(grid)
        if most < len(self._x):
            near = np.sort(np.argpartition(distances, most - 1, axis=1)[:, :most], axis=1)
            distances = np.take_along_axis(distances, near, axis=1)
        order = np.argsort(distances, axis=1, kind="stable")
        order = np.take_along_axis(np.broadcast_to(near, order.shape), order, axis=1)
        counts = np.cumsum(self._positive[order], axis=1)
        return counts[:, np.asarray(grid) - 1] / np.asarray(grid)


def boosting(training: Training) -> list[Fitted]:
    """Fit 50 small trees by gradient boosting, each split among a random part of the columns."""
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(
        n_estimators=50, learning_rate=0.2, max_depth=3, subsample=0.8, max_features="sqrt",
        random_state=0,
    )  # fmt: skip
    return _model(training, model, lambda fitted, x: fitted.decision_function(x))


def mlp(training: Training) -> list[Fitted]:
    """Fit a network with one layer of 32 ReLU units to standardised inputs."""
    from scipy.special import logit
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPClassifier(
        (_HIDDEN,), alpha=_DECAY, solver="lbfgs", max_iter=_MOST_STEPS, tol=_TOLERANCE,
        random_state=0,
    )  # fmt: skip

    def score(model, x):
        share = model.predict_proba(x)[:, 1].astype(np.float64)
        return logit(np.clip(share, _LEAST_SHARE, 1 - _LEAST_SHARE))

    return _model(training, make_pipeline(StandardScaler(), network), score)


def _model(training: Training, unfitted, score) -> list[Fitted]:
    """Fit a model of scikit-learn; its mean AUC on the folds is that of fits to their parts."""
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    x, positive, folds = _single(training.x), training.positive, training.folds

    def fitted(rows) -> tuple:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", ConvergenceWarning)
            model = clone(unfitted).fit(x[rows], positive[rows])
        return model, not any(issubclass(one.category, ConvergenceWarning) for one in said)

    (model, converged), *fits = map(fitted, [slice(None), *(fold.fit for fold in folds)])
    pairs = zip(folds, fits, strict=True)
    found = [auc(score(own, x[f.look]), positive[f.look]) for f, (own, _) in pairs]
    best = float(np.mean(found)) if found else float("nan")
    ended = converged and all(done for _, done in fits)
    return [Fitted(lambda rows: score(model, _single(rows)), 0, best, ended)]


def _single(x: Matrix) -> np.ndarray:
    """Return a matrix as a dense array, float32, which is enough for trees and networks."""
    return dense(x).astype(np.float32)
