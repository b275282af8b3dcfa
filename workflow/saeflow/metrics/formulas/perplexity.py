"""perplexity: the exponential of the untouched model's mean loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def compute(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Form the ratio, once, from sums over all tokens.

    Parameters
    ----------
    sums
        ce_clean : (...) sum of losses in nats; predictions : (...) number of scored predictions.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return np.exp(sums["ce_clean"] / sums["predictions"])
