"""probe_loss_codes: the log loss of a probe of the SAE's latents."""

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
        loss_codes : (...) sum of minus the log-probability of the truth, in nats;
        tokens : (...) number of tokens asked about.

    Returns
    -------
    ndarray
        (...) float64.
    """
    return sums["loss_codes"] / sums["tokens"]
