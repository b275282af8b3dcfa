"""What reconstructions keep for a linear reader: formulas from sums over the tokens asked about.

Sums are ``tokens``, and ``correct`` (right answers) and ``loss`` (minus the log-probability of the
truth, in nats): as they are for the activations, with ``_sae`` for the reconstructions, ``_codes``
for the latents, ``_chance`` for the shares of the tokens in what probes were fitted to.
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure, Metric, difference, ratio

_PROBES = "linear probes as in Alain and Bengio 2016, Understanding intermediate layers"


probe_accuracy = ratio("correct", "tokens")
probe_accuracy_sae = ratio("correct_sae", "tokens")
probe_accuracy_codes = ratio("correct_codes", "tokens")
probe_accuracy_chance = ratio("correct_chance", "tokens")
probe_loss = ratio("loss", "tokens")
probe_loss_sae = ratio("loss_sae", "tokens")
probe_loss_codes = ratio("loss_codes", "tokens")
probe_loss_chance = ratio("loss_chance", "tokens")


probe_loss_change = difference("tuned_loss_sae", "parent_loss_sae", "parent_tokens")
probe_accuracy_change = difference("tuned_correct_sae", "parent_correct_sae", "parent_tokens")
probe_loss_change_codes = difference("tuned_loss_codes", "parent_loss_codes", "parent_tokens")
probe_accuracy_change_codes = difference(
    "tuned_correct_codes", "parent_correct_codes", "parent_tokens"
)

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
