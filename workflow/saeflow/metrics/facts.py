"""How well single latents tell what is known of tokens: formulas from sums over tokens.

Of each fact, over tokens: ``positive``, those of which it holds; and for each detector ``X_fired``,
tokens on which it fires, and ``X_hits``, those of them of which the fact holds. Detectors X are

    best      the best latent, above its threshold
    active    the best latent without one, where it is active at all
    union     the latents that tell the fact together, where any of them is above its own threshold
    probe     a linear probe on the activations themselves

and ``absorbed`` are tokens that the probe hits and where another latent stands in for those of the
union. What is chosen (latents, thresholds, probes) is chosen on the validation split.
`saeflow.measures.facts.detectors` and `saeflow.measures.facts.absorption` say how.
"""

from __future__ import annotations

from functools import partial

from saeflow.metrics.metric import Formula, Measure, Metric, ratio

FACTS, COUNTS = "facts.parquet", "counts.parquet"
"""Files with what was chosen for each fact, and with its sums per document."""

DETECTORS = ("best", "active", "union", "probe")
ABSORBED = "absorbed"
COLUMNS = (
    "positive",
    *(f"{name}_{what}" for name in DETECTORS for what in ("fired", "hits")),
    ABSORBED,
)
"""The sums."""

_KNOWN = "known features as in Karvonen et al. 2024, Measuring progress in dictionary learning"
_CHANIN = "Chanin et al. 2024, A is for absorption"


def _f1(detector: str) -> Formula:
    return lambda sums: (
        2 * sums[f"{detector}_hits"] / (sums[f"{detector}_fired"] + sums["positive"])
    )


fact_f1 = _f1("best")
fact_f1_active = _f1("active")
fact_f1_union = _f1("union")
fact_f1_probe = _f1("probe")
fact_absorption = ratio(ABSORBED, "probe_hits")

_f1_metric = partial(Metric, source=_KNOWN, direction="higher")

MEASURE = Measure(
    name="facts",
    text="How well single latents tell what is known of the tokens of a generated world.",
    compute="saeflow.measures.facts.measure:measure_facts",
    reads=("activations", "dataset"),
    together=True,
    metrics=(
        _f1_metric(
            "fact_f1", "F1 of the best latent",
            "2 #{f_i > θ and the fact holds} / (#{f_i > θ} + #{it holds}), i and θ by validation",
            fact_f1,
        ),
        _f1_metric(
            "fact_f1_active", "F1 of being active",
            "the same with θ = 0 and the latent that is best then", fact_f1_active,
        ),
        _f1_metric(
            "fact_f1_union", "F1 of latents together",
            "the same where any of some latents is above its θ, each of which adds at least 0.03",
            fact_f1_union,
        ),
        _f1_metric(
            "fact_f1_probe", "F1 of a linear probe",
            "the same where ⟨x, p⟩ is above a threshold, p by least squares", fact_f1_probe,
        ),
        Metric(
            "fact_absorption", "Absorption",
            "of the tokens where a fact's probe finds it, the share on which all its latents are"
            " silent and another gives at least 0.4 of ⟨x − μ, p⟩",
            fact_absorption, _CHANIN, unit="share of tokens", direction="lower",
        ),
    ),
)  # fmt: skip
