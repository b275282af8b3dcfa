"""perplexity_sae: the exponential of the mean loss with x_hat in the place of x."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def compute(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Form the ratio, once, from sums over all tokens.

    Parameters
    ----------
    sums
        ce_sae : (...) sum of losses in nats; predictions : (...) number of scored predictions.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return np.exp(sums["ce_sae"] / sums["predictions"])
