"""How often and how strongly latents are active, and which of them are alive.

Pure functions of sums per latent; the tables of a study call them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

# Two classes of latents count as such when their mean frequencies are a factor of 30 apart.
MIN_DECADES = 1.5


class Border(NamedTuple):
    """Where the sorted log10 frequencies of latents fall into two classes.

    Attributes
    ----------
    threshold : float
        The log10 frequency between them; -inf where there is one class only.
    decades : float
        How far apart the means of the best two classes lie, also where that is not enough.
    """

    threshold: float
    decades: float


def activity(latents: pd.DataFrame, n_tokens: int) -> pd.DataFrame:
    """Return frequency, strength and total of each latent.

    Parameters
    ----------
    latents
        Columns fired and activation_sum, one row per latent.
    n_tokens
        Tokens on which they were summed.

    Returns
    -------
    DataFrame
        latent; log10_frequency, -inf for a latent that never fired; strength, the mean of the
        latent where it is active, NaN without any; activation_sum.
    """
    fired, total = latents["fired"].to_numpy(float), latents["activation_sum"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return pd.DataFrame(
            {
                "latent": np.arange(len(latents)),
                "log10_frequency": np.log10(fired / n_tokens),
                "strength": np.where(fired > 0, total / fired, np.nan),
                "activation_sum": total,
            }
        )


def border(log10_frequency: np.ndarray) -> Border:
    """Find the discontinuity that separates live latents from nearly dead ones.

    The post finds it by eye. Here it is the threshold of Otsu (1979) on the log10 frequencies of
    the latents that fired, the one with the most variance between the two classes, if their
    means are 1.5 decades apart.
    """
    values = np.sort(log10_frequency[np.isfinite(log10_frequency)])
    n = len(values)
    if n < 2:
        return Border(-np.inf, 0.0)
    below = np.cumsum(values)[:-1]
    count = np.arange(1, n)
    means = below / count, (values.sum() - below) / (n - count)
    distance = means[1] - means[0]
    at = int(np.argmax(count * (n - count) * distance**2))
    decades = float(distance[at])
    if decades < MIN_DECADES:
        return Border(-np.inf, decades)
    return Border(float(values[at] + values[at + 1]) / 2, decades)


def is_live(log10_frequency: np.ndarray) -> np.ndarray:
    """Return which latents are alive: active at all, and on the frequent side of the border."""
    values = np.asarray(log10_frequency)
    return np.isfinite(values) & (values > border(values).threshold)
