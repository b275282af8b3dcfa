"""Whether an SAE from elsewhere does in the model what it must: formulas from sums over tokens.

Sums are ``predictions``; ``gap_identity`` and ``gap_centring``, of absolute differences of losses
in nats (see `saeflow.measures.gate`); ``tokens`` and ``active``. Among the constants are
``l0_stated``, what its files say, and ``gap_centring`` is missing where nothing is centred.
"""

from __future__ import annotations

import numpy as np

from saeflow.metrics.metric import Measure, Metric, Sums, ratio

_SPECIFIED = "as of TransformerLens' processed weights (center_writing_weights), Nanda 2022"
_NATS = "nats/token"


identity_gap = ratio("gap_identity", "predictions")
l0_in_context = ratio("active", "tokens")


def centring_gap(sums: Sums) -> np.ndarray:
    """Return the mean change of the loss by taking the mean over d_in off; NaN for no such SAE."""
    return sums.get("gap_centring", np.nan) / sums["predictions"]


def l0_over_stated(sums: Sums) -> np.ndarray:
    """Return how many times as many that is as its files tell of; NaN where they do not."""
    return l0_in_context(sums) / sums.get("l0_stated", np.nan)


MEASURE = Measure(
    name="gate",
    text="Whether an SAE from elsewhere fits the model: before anything else is measured of it.",
    compute="saeflow.measures.gate:measure_gate",
    reads=("model", "tokens"),
    together=True,
    metrics=(
        Metric(
            "identity_gap", "Change of the loss by x̂ + (x − x̂)", "mean |CE(x̂ + (x − x̂)) − CE(x)|",
            identity_gap, "Marks et al. 2024, Sparse feature circuits (error nodes)", _NATS,
            "lower",
        ),
        Metric(
            "centring_gap", "Change of the loss by centring",
            "mean |CE(x − mean over d_in) − CE(x)|", centring_gap, _SPECIFIED, _NATS, "lower",
        ),
        Metric(
            "l0_in_context", "L0 within the trained context", "mean #{f ≠ 0}", l0_in_context,
            "Cunningham et al. 2023, Sparse autoencoders find highly interpretable features",
        ),
        Metric(
            "l0_over_stated", "L0 over that by its files",
            "mean #{f ≠ 0} / sum of stated densities",
            l0_over_stated, "SAELens' sparsity.safetensors, or the evidence in ours",
            direction="one",
        ),
    ),
)  # fmt: skip
