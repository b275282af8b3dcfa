"""The numbers of the post on universality, as far as its text and its notebooks have them.

Its figures were not to be had. MCS is the mean best cosine of decoder rows.
"""

from __future__ import annotations

from typing import NamedTuple

SMALLEST = "EleutherAI/pythia-70m"
HUBS = tuple(f"EleutherAI/pythia-{size}{kind}" for size in ("70m", "160m", "410m")
             for kind in ("", "-deduped"))  # fmt: skip
"""The post's models."""
SITE, ARCHITECTURE, L1 = "mlp_out", "relu", 8e-4
"""Where its SAEs are, and what they are."""

MCS_BY_CHANCE, MCS_BY_CHANCE_BELOW = 0.15, 0.20
CORRELATION_BY_CHANCE = 0.40
PERPLEXITY, PERPLEXITY_WITH = 25.0, 31.0
TRAININGS_FIRST_LAYER, TRAININGS_ABOVE = 0.4, 0.15
"""MCS of a model and the one of deduplicated text: at the first layer, and at all of them."""
MCS_OF_RATIOS = {(4, 8): 0.870, (8, 16): 0.870}
"""Of the smaller SAE's features in the larger one, of the smallest model."""
FREQUENCY_MODE = 0.01


class Snapshot(NamedTuple):
    """What the log of a training says after some tokens: single batches.

    Attributes
    ----------
    tokens : float
        How many had been seen.
    l0, mse : tuple of float
        By layer from 0; the error is the mean over elements.
    """

    tokens: float
    l0: tuple[float, ...]
    mse: tuple[float, ...]


SNAPSHOTS = {
    2: Snapshot(
        67.8e6, (22.4, 37.3, 48.7, 115.9, 121.9, 155.5),
        (0.0077, 0.0094, 0.0121, 0.0189, 0.0248, 0.0346),
    ),
    8: Snapshot(
        29.9e6, (14.9, 39.6, 58.6, 151.1, 153.6, 121.2),
        (0.0046, 0.0083, 0.0112, 0.0187, 0.0233, 0.0517),
    ),
}  # fmt: skip
"""By ratio, of the smallest model."""
