"""delta_ce: the loss that the SAE adds."""

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
        ce_sae, ce_clean : (...) sums of losses in nats; predictions : (...) number of scored ones.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return (sums["ce_sae"] - sums["ce_clean"]) / sums["predictions"]
