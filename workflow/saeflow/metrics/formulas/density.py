"""density: the share of tokens on which each latent is not zero."""

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
        fired : (..., d_sae) tokens on which the latent is unequal zero; tokens : (...).

    Returns
    -------
    ndarray
        (..., d_sae) float64; 0 for a latent that never fired.
    """
    return sums["fired"] / sums["tokens"][..., None]
