"""l2_ratio: the mean over tokens of the ratio of norms."""

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
        norm_ratio : (...) sum over tokens of |x_hat| / |x|; directed : (...) tokens with |x| > 0.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["norm_ratio"] / sums["directed"]
