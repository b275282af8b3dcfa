"""mse: the squared error, averaged over tokens and over dimensions."""

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
        squared_error : (...) sum over tokens of |x_hat - x|^2; tokens : (...); d_in : width of x.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["squared_error"] / (sums["tokens"] * sums["d_in"])
