"""probe_accuracy_codes: how often a probe of the SAE's latents is right."""

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
        correct_codes : (...) number of right answers;
        tokens : (...) number of tokens asked about.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["correct_codes"] / sums["tokens"]
