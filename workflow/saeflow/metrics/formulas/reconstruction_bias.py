"""reconstruction_bias: by which factor reconstructions are too long for their direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def compute(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Form the ratio, once, from sums over all tokens.

    It is the factor g with the least sum of |x_hat / g - x|^2: dividing the reconstructions by it
    is the best that rescaling them can do. Below 1 they are suppressed.

    Parameters
    ----------
    sums
        squared_norm_hat, inner : (...) sums over tokens of |x_hat|^2 and <x, x_hat>.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["squared_norm_hat"] / sums["inner"]
