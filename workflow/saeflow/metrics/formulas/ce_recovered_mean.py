"""ce_recovered_mean: the share of mean ablation's damage that the SAE avoids."""

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
        ce_mean, ce_sae, ce_clean : (...) sums of losses over the same predictions, in nats.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return (sums["ce_mean"] - sums["ce_sae"]) / (sums["ce_mean"] - sums["ce_clean"])
