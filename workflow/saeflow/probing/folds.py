"""How a training set is divided to choose within it: parts to fit to, and parts to look at.

As Kantamneni et al. 2025 do it: all pairs left out of up to 12 examples, six stratified folds of
fewer than 128, and of more the last fifth, at most 100 examples.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

_PAIRS_UP_TO, _FOLDS_BELOW, _N_FOLDS = 12, 128, 6
_HELD_OUT, _MOST_HELD_OUT = 0.2, 100


class Fold(NamedTuple):
    """A part to fit to and one to look at: rows of the training set, (n,) int64 each."""

    fit: np.ndarray
    look: np.ndarray


def folds_of(positive: np.ndarray, *, seed: int = 0) -> list[Fold]:
    """Return the folds of a training set, both parts of each with both classes.

    Parameters
    ----------
    positive : ndarray (n,) bool
        Labels, in the order in which the examples were drawn.
    seed
        Of the stratified folds.

    Returns
    -------
    list
        Empty where there is no such fold, as of fewer than four examples.
    """
    from sklearn.model_selection import LeavePOut, StratifiedKFold

    n, few = len(positive), min(positive.sum(), (~positive).sum())
    if n < 4 or few < 2:
        return []
    if n >= _FOLDS_BELOW:
        fit = n - min(int(_HELD_OUT * n), _MOST_HELD_OUT)
        if last := _usable([(np.arange(fit), np.arange(fit, n))], positive):
            return last
    few_rows = n <= _PAIRS_UP_TO
    six = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class in fewer folds than there are
        return _usable((LeavePOut(2) if few_rows else six).split(positive, positive), positive)


def _usable(parts: Iterable[tuple[np.ndarray, np.ndarray]], positive: np.ndarray) -> list[Fold]:
    """Return the folds whose parts have both classes."""
    folds = (Fold(*both) for both in parts)
    return [fold for fold in folds if all(0 < positive[own].sum() < len(own) for own in fold)]
