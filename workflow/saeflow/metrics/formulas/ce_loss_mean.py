"""ce_loss_mean: the mean loss with the mean of x in the place of x."""

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
        ce_mean : (...) sum of losses in nats; predictions : (...) number of scored predictions.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["ce_mean"] / sums["predictions"]
