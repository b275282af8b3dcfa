"""The slope of a straight line with its interval."""

from __future__ import annotations

import numpy as np

from saeflow.measures.intervals import NORMAL_QUANTILE, Estimate

_MIN_CASES = 3


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
    if len(x) < _MIN_CASES:
        return Estimate(value)
    rest = y - y.mean() - value * dx
    half = NORMAL_QUANTILE * float(np.sqrt(rest @ rest / (len(x) - 2) / below))
    return Estimate(value, value - half, value + half)
