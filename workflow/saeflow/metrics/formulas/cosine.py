"""cosine: the mean over tokens of the cosine between x and x_hat."""

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
        cosine : (...) sum over tokens of cos(x, x_hat), 0 where x_hat is zero;
        directed : (...) tokens with |x| > 0.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["cosine"] / sums["directed"]
