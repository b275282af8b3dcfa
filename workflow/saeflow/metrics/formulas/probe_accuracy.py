"""probe_accuracy: how often the probe of the activations is right about them."""

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
        correct : (...) number of right answers;
        tokens : (...) number of tokens asked about.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["correct"] / sums["tokens"]
