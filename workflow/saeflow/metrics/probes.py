"""What reconstructions keep for a linear reader: formulas from sums over the tokens asked about.

Sums are ``tokens``, and ``correct`` (right answers) and ``loss`` (minus the log-probability of the
truth, in nats): as they are for the activations, with ``_sae`` for the reconstructions, ``_codes``
for the latents, ``_chance`` for the shares of the tokens in what probes were fitted to.
"""

from __future__ import annotations

import numpy as np

from saeflow.metrics.metric import Measure, Metric, Sums

_PROBES = "linear probes as in Alain and Bengio 2016, Understanding intermediate layers"


def probe_accuracy(sums: Sums) -> np.ndarray:
    """Return how often the probe of the activations is right about them."""
    return sums["correct"] / sums["tokens"]


def probe_accuracy_sae(sums: Sums) -> np.ndarray:
    """Return how often the probe of the activations is right about reconstructions."""
    return sums["correct_sae"] / sums["tokens"]


def probe_accuracy_codes(sums: Sums) -> np.ndarray:
    """Return how often a probe of the SAE's latents is right."""
    return sums["correct_codes"] / sums["tokens"]


def probe_accuracy_chance(sums: Sums) -> np.ndarray:
    """Return how often the most frequent token is the right one."""
    return sums["correct_chance"] / sums["tokens"]


def probe_loss(sums: Sums) -> np.ndarray:
    """Return the mean log loss of the probe of the activations on them."""
    return sums["loss"] / sums["tokens"]


def probe_loss_sae(sums: Sums) -> np.ndarray:
    """Return the mean log loss of the probe of the activations on reconstructions."""
    return sums["loss_sae"] / sums["tokens"]


def probe_loss_codes(sums: Sums) -> np.ndarray:
    """Return the mean log loss of a probe of the SAE's latents."""
    return sums["loss_codes"] / sums["tokens"]


def probe_loss_chance(sums: Sums) -> np.ndarray:
    """Return the mean log loss of knowing the tokens' frequencies alone."""
    return sums["loss_chance"] / sums["tokens"]


def probe_loss_change(sums: Sums) -> np.ndarray:
    """Return the change by fine-tuning of the loss on reconstructions."""
    return _change("loss_sae", sums)


def probe_accuracy_change(sums: Sums) -> np.ndarray:
    """Return the change by fine-tuning of the accuracy on reconstructions."""
    return _change("correct_sae", sums)


def probe_loss_change_codes(sums: Sums) -> np.ndarray:
    """Return the change by fine-tuning of the loss of probes of the latents."""
    return _change("loss_codes", sums)


def probe_accuracy_change_codes(sums: Sums) -> np.ndarray:
    """Return the change by fine-tuning of the accuracy of probes of the latents."""
    return _change("correct_codes", sums)


def _change(name: str, sums: Sums) -> np.ndarray:
    """Return the change of the mean of a sum; both have the same number of tokens."""
    return (sums[f"tuned_{name}"] - sums[f"parent_{name}"]) / sums["parent_tokens"]


_ACCURACY = {"source": _PROBES, "unit": "share of tokens"}
_LOSS = {"source": _PROBES, "unit": "nats/token"}

MEASURE = Measure(
    name="probes",
    text="What linear probes of the activations read in an SAE's reconstructions and latents.",
    compute="saeflow.measures.probes.measure:measure_probes",
    reads=("activations", "fitted"),
    metrics=(
        Metric(
            "probe_accuracy", "Probe accuracy on activations", "mean [y = argmax p(y|x)]",
            probe_accuracy, **_ACCURACY, direction="higher",
        ),
        Metric(
            "probe_accuracy_sae", "Probe accuracy on reconstructions", "mean [y = argmax p(y|x̂)]",
            probe_accuracy_sae, **_ACCURACY, direction="higher",
        ),
        Metric(
            "probe_accuracy_codes", "Probe accuracy on latents", "mean [y = argmax q(y|f)]",
            probe_accuracy_codes, **_ACCURACY, direction="higher",
        ),
        Metric(
            "probe_accuracy_chance", "Probe accuracy by frequency alone", "mean [y = argmax r(y)]",
            probe_accuracy_chance, **_ACCURACY,
        ),
        Metric(
            "probe_loss", "Probe loss on activations", "mean −log p(y|x)", probe_loss, **_LOSS,
            direction="lower",
        ),
        Metric(
            "probe_loss_sae", "Probe loss on reconstructions", "mean −log p(y|x̂)", probe_loss_sae,
            **_LOSS, direction="lower",
        ),
        Metric(
            "probe_loss_codes", "Probe loss on latents", "mean −log q(y|f)", probe_loss_codes,
            **_LOSS, direction="lower",
        ),
        Metric(
            "probe_loss_chance", "Probe loss by frequency alone", "mean −log r(y)",
            probe_loss_chance, **_LOSS,
        ),
        Metric(
            "probe_accuracy_change", "Change of probe accuracy",
            "mean [y = argmax p(y|x̂)] − [y = argmax p(y|x̂₀)]", probe_accuracy_change, **_ACCURACY,
            direction="higher", paired=True,
        ),
        Metric(
            "probe_accuracy_change_codes", "Change of probe accuracy on latents",
            "mean [y = argmax q(y|f)] − [y = argmax q₀(y|f₀)]", probe_accuracy_change_codes,
            **_ACCURACY, direction="higher", paired=True,
        ),
        Metric(
            "probe_loss_change", "Change of probe loss", "mean log p(y|x̂₀) − log p(y|x̂)",
            probe_loss_change, **_LOSS, direction="lower", paired=True,
        ),
        Metric(
            "probe_loss_change_codes", "Change of probe loss on latents",
            "mean log q₀(y|f₀) − log q(y|f)", probe_loss_change_codes, **_LOSS, direction="lower",
            paired=True,
        ),
    ),
)  # fmt: skip
