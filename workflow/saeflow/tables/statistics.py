"""Correlations and slopes over latents or SAEs, with intervals."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import NORMAL_QUANTILE, Estimate

_MIN_CORRELATED = 5
_MIN_REGRESSED = 3


def correlation(x: np.ndarray, y: np.ndarray) -> Estimate:
    """Return Pearson's r of x and y (n,), with Fisher's interval: atanh r +- 1.96 / sqrt(n - 3)."""
    return _estimate(_pearson(x, y), len(x) - 3)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> Estimate:
    """Return Spearman's rho of x and y (n,): Pearson's r of their ranks, equal ones in the middle.

    The interval is Fisher's with the variance 1.06 / (n - 3) of Fieller, Hartley and Pearson 1957.
    """
    ranks = (pd.Series(values).rank().to_numpy() for values in (x, y))
    return _estimate(_pearson(*ranks), (len(x) - 3) / 1.06)


def partial_correlation(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Estimate:
    """Return the correlation of x and y (n,) with z held: of what regression on z leaves.

    (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2)), with Fisher's interval for n - 1 cases.
    """
    r_xy, r_xz, r_yz = _pearson(x, y), _pearson(x, z), _pearson(y, z)
    below = math.sqrt(max(0.0, (1 - r_xz**2) * (1 - r_yz**2)))
    r = (r_xy - r_xz * r_yz) / below if below > 0 else math.nan
    return _estimate(r, len(x) - 4)


def slope(x: np.ndarray, y: np.ndarray) -> Estimate:
    """Return the slope of y on x, both (n,), by least squares with an intercept.

    The interval is 1.96 standard errors to either side; none for fewer than three cases, no
    slope where x does not vary.
    """
    dx = x - x.mean()
    below = float(dx @ dx)
    if len(x) < 2 or below == 0:
        return Estimate(None)
    value = float(dx @ y) / below
    if len(x) < _MIN_REGRESSED:
        return Estimate(value)
    rest = y - y.mean() - value * dx
    half = NORMAL_QUANTILE * float(np.sqrt(rest @ rest / (len(x) - 2) / below))
    return Estimate(value, value - half, value + half)


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < _MIN_CORRELATED:
        return math.nan
    a, b = x - x.mean(), y - y.mean()
    below = math.sqrt(float(a @ a) * float(b @ b))
    return float(np.clip(a @ b / below, -1, 1)) if below > 0 else math.nan


def _estimate(r: float, freedom: float) -> Estimate:
    if not math.isfinite(r):
        return Estimate(None)
    if freedom < 1 or abs(r) >= 1:
        return Estimate(r)
    half = NORMAL_QUANTILE / math.sqrt(freedom)
    return Estimate(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half))
