"""kl: the mean divergence of the predictions with the SAE from the clean ones."""

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
        kl : (...) sum of KL(p_clean || p_sae) in nats; predictions : (...) number of scored ones.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["kl"] / sums["predictions"]
