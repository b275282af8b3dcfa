"""l0: the mean number of latents that are not zero on a token."""

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
        active : (...) latents unequal zero, summed over tokens; tokens : (...) number of tokens.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["active"] / sums["tokens"]
