"""fvu: the squared error over the squared distance from the mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def compute(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Form the ratio, once, from sums over all tokens.

    Parameters
    ----------
    sums
        squared_error : (...) sum over tokens of |x_hat - x|^2;
        squared_deviation : (...) sum over tokens of |x - mu|^2, where mu is the mean of x over
        exactly the evaluated tokens: not zero, and not the mean of a batch.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["squared_error"] / sums["squared_deviation"]
