"""What a method gives: a score for any row, and how it was come by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from saeflow.probing.columns import Matrix
from saeflow.probing.folds import Fold


class Training(NamedTuple):
    """A training set.

    Attributes
    ----------
    x : ndarray or csr_matrix (n, d)
        Inputs, in the order in which the examples were drawn.
    positive : ndarray (n,) bool
        Labels.
    folds : list of Fold
        Its parts, to choose by; none where nothing can be chosen.
    kept : dict
        What was computed of the inputs alone, for other methods and other labels.
    """

    x: Matrix
    positive: np.ndarray
    folds: list[Fold]
    kept: dict[Any, Any]


class Fitted(NamedTuple):
    """A probe.

    Attributes
    ----------
    score : callable
        From rows (n, d) to scores (n,) float64, above 0 for positive.
    k : int
        How many latents, components or neighbours; 0 where it means nothing.
    validation_auc : float
        What was best on the folds; NaN where nothing was looked at there.
    converged : bool
        Whether it came to its end, and those that were looked at on folds too.
    latents : sequence of int
        The columns that were chosen.
    """

    score: Callable[[Matrix], np.ndarray]
    k: int = 0
    validation_auc: float = float("nan")
    converged: bool = True
    latents: Sequence[int] = ()


Method = Callable[[Training], list[Fitted]]
"""What fits probes to a training set: one, or one for each k."""


class Linear(NamedTuple):
    """Weighted sums of the inputs: one, or several of the same inputs.

    Attributes
    ----------
    weights : ndarray (d,) or (d, m) float64
    intercept : float or ndarray (m,) float64
    """

    weights: np.ndarray
    intercept: float | np.ndarray

    def __call__(self, x: Matrix) -> np.ndarray:
        """Return the scores (n,) or (n, m) of rows (n, d)."""
        return np.asarray(x @ self.weights, dtype=np.float64) + self.intercept

    def first(self) -> Linear:
        """Return the first of several."""
        return Linear(self.weights[:, 0], float(self.intercept[0]))
