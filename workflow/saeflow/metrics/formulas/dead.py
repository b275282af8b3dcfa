"""dead: the share of latents that fired on no evaluated token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def compute(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Form the share; it means nothing without the number of tokens, which is printed with it.

    Parameters
    ----------
    sums
        fired : (..., d_sae) tokens on which the latent is unequal zero.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return (sums["fired"] == 0).mean(axis=-1)
