"""How well scores tell two classes apart: a score above 0 means the positive one."""

from __future__ import annotations

import numpy as np


def auc(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the share of (positive, negative) pairs in the right order, equals counting half.

    Parameters
    ----------
    scores : ndarray (n, ...) float64
    positive : ndarray (n,) bool

    Returns
    -------
    ndarray (...) float64
        NaN where a class has no example.
    """
    from scipy.stats import rankdata

    n_positive = int(positive.sum())
    pairs = n_positive * (len(positive) - n_positive)
    if not pairs:
        return np.full(scores.shape[1:], np.nan)
    wins = rankdata(scores, axis=0)[positive].sum(0) - n_positive * (n_positive + 1) / 2
    return wins / pairs


def accuracy(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the share of scores (n,) on the right side of 0; NaN where there is none."""
    return float(((scores > 0) == positive).mean()) if len(scores) else float("nan")
