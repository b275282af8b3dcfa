"""How a training set is divided to choose within it: parts to fit to, and parts to look at.

As Kantamneni et al. 2025 do it: all pairs left out of up to 12 examples, six stratified folds of
fewer than 128, and of more the last fifth, at most 100 examples.
"""

from __future__ import annotations

import itertools
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
    n, few = len(positive), min(positive.sum(), (~positive).sum())
    if n < 4 or few < 2:
        return []
    if n <= _PAIRS_UP_TO:
        folds = _left_out(n, map(list, itertools.combinations(range(n), 2)))
    elif n < _FOLDS_BELOW or not (last := _usable([_last_part(n)], positive)):
        folds = _stratified(positive, seed)
    else:
        return last
    return _usable(folds, positive)


def _usable(folds: list[Fold], positive: np.ndarray) -> list[Fold]:
    return [f for f in folds if all(0 < positive[part].sum() < len(part) for part in f)]


def _left_out(n: int, parts) -> list[Fold]:
    return [Fold(np.setdiff1d(np.arange(n), part), np.asarray(part)) for part in parts]


def _last_part(n: int) -> Fold:
    fit = n - min(int(_HELD_OUT * n), _MOST_HELD_OUT)
    return Fold(np.arange(fit), np.arange(fit, n))


def _stratified(positive: np.ndarray, seed: int) -> list[Fold]:
    import warnings

    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class in fewer folds than there are
        return [Fold(*parts) for parts in splitter.split(positive, positive)]
