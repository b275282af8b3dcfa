"""What is measured: every measure and metric by its name, and the letters in their definitions.

A module of this package that is not named in `_ASIDE` is a measure.
"""

from __future__ import annotations

from saeflow import registry
from saeflow.metrics.metric import Measure, Metric

_ASIDE = ("documentation", "intervals", "metric", "registry")

SYMBOLS = {
    "x": "activations of a hook on a token, d_in numbers",
    "x̂": "the SAE's reconstruction of x",
    "f": "the SAE's latents on a token, d_sae numbers",
    "x̂₀, f₀, q₀": "those of the SAE from which a fine-tuned one was made",
    "μ": "the mean of x over the evaluated tokens",
    "t, T": "the number of tokens before one in its sequence, and how many tokens the context of "
    "the SAE's training had, or the shortest of those compared; the loss at t is of the token "
    "after",
    "μ_t": "the mean of x over the evaluated tokens in the same half octave of t",
    "mean": "over the evaluated tokens; special tokens (BOS, separators) never count",
    "CE(y)": "mean cross-entropy of the model's predictions with y in the place of x on every "
    "ordinary token; scored is every ordinary token with a token before it in its sequence "
    "(special tokens are neither replaced nor scored)",
    "v, x′": "a random unit vector, another on every token; and an activation with a random error "
    "that has the norm of x̂ and its cosine with x",
    "y": "the next token, where it is one of the most frequent ones (`measures > probes`), and "
    "the mean is over the evaluated tokens that one of them follows",
    "p(y|·)": "a multinomial logistic regression for y on standardised activations, fitted to x of "
    "the training split",
    "q(y|f)": "one for y on the SAE's latents, fitted to the same rows",
    "r(y)": "the share of y in the rows that they were fitted to",
    "s(i, j)": "how alike latent i of one SAE and latent j of another are, of those that are live: "
    "the cosine of their decoder rows (as they are, or after the rotation that brings the "
    "activations of their hooks together) or of their encoder columns, or the correlation of their "
    "activations over tokens",
}


def _find() -> dict[str, Measure]:
    """Return the measures by name, those that read least first."""
    modules = (name for name in registry.names("metrics") if name not in _ASIDE)
    measures = [registry.load("metrics", name).MEASURE for name in modules]
    return {m.name: m for m in sorted(measures, key=lambda measure: len(measure.reads))}


MEASURES: dict[str, Measure] = _find()

METRICS: dict[str, Metric] = {
    metric.name: metric for measure in MEASURES.values() for metric in measure.metrics
}

_MEASURE_OF = {metric.name: measure for measure in MEASURES.values() for metric in measure.metrics}


def measure_of(metric: str) -> Measure:
    """Return the measure whose sums a metric is formed from."""
    return _MEASURE_OF[metric]


def metrics_of(*measures: str) -> list[str]:
    """Return the metrics of measures that are one number of one SAE."""
    return [
        metric.name
        for measure in measures
        for metric in sorted(MEASURES[measure].metrics)
        if metric.per in ("token", "width") and not metric.paired
    ]
