"""METRICS: what each metric is called, in which unit, and how it is written.

Axis labels, captions, the report's definitions and docs/metrics.md come from here. The formulas
as code are in `saeflow.metrics.formulas`, one module per name: no measurement imports this
module, so a better label moves figures and text, and no number.
"""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """The description of a metric.

    Attributes
    ----------
    name : str
        Its key everywhere: config, records, columns.
    unit : str
        "" for ratios and counts without a unit.
    direction : str
        What is better: "lower", "higher", "one" (the closer to 1), or "none" (it describes).
    label : str
        The axis label, without the unit.
    formula : str
        The definition in one line; see `SYMBOLS` for the letters.
    source : str
        Where the definition comes from.
    measure : str
        The measurement that gives it: "reconstruction", "language" or "probes".
    per : str
        "token" where tokens are averaged into one number, "latent" for one number per latent,
        "width" for a share of the SAE's latents.
    """

    name: str
    unit: str
    direction: str
    label: str
    formula: str
    source: str
    measure: str
    per: str = "token"

    @property
    def axis(self) -> str:
        """The axis label with the unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


SYMBOLS = {
    "x": "activations of a hook on a token, d_in numbers",
    "x̂": "the SAE's reconstruction of x",
    "f": "the SAE's latents on a token, d_sae numbers",
    "μ": "the mean of x over the evaluated tokens",
    "mean": "over the evaluated tokens; special tokens (BOS, separators) never count",
    "CE(y)": "mean cross-entropy of the model's predictions with y in the place of x on every "
    "ordinary token; scored is every ordinary token with a token before it in its sequence "
    "(special tokens are neither replaced nor scored)",
    "y": "the next token, where it is one of the most frequent ones (`measures > probes`), and "
    "the mean is over the evaluated tokens that one of them follows",
    "p(y|·)": "a multinomial logistic regression for y on standardised activations, fitted to x of "
    "the training split",
    "q(y|f)": "one for y on the SAE's latents, fitted to the same rows",
    "r(y)": "the share of y in the rows that they were fitted to",
}

_SUPPRESSION = "Wright and Sharkey 2024, Addressing feature suppression in SAEs"
_BRICKEN = "Bricken et al. 2023, Towards monosemanticity"
_PROBES = "linear probes as in Alain and Bengio 2016, Understanding intermediate layers"
_GAO = "Gao et al. 2024, Scaling and evaluating sparse autoencoders"


def _probed(kind: str, unit: str, direction: str, formula: str) -> list[Metric]:
    """Return a metric of what a probe reads in activations, and of what it is compared with."""
    of = {
        "": (f"Probe {kind} on activations", "p(y|x)", direction),
        "_sae": (f"Probe {kind} on reconstructions", "p(y|x̂)", direction),
        "_codes": (f"Probe {kind} on latents", "q(y|f)", direction),
        "_chance": (f"Probe {kind} by frequency alone", "r(y)", "none"),
    }
    return [
        Metric(f"probe_{kind}{end}", unit, better, label, formula.format(p), _PROBES, "probes")
        for end, (label, p, better) in of.items()
    ]


_ALL = (
    Metric("l0", "latents/token", "none", "L0", "mean count(f ≠ 0)", _BRICKEN, "reconstruction"),
    Metric("mse", "", "lower", "MSE", "mean |x̂ − x|² / d_in", _SUPPRESSION, "reconstruction"),
    Metric(
        "fvu",
        "",
        "lower",
        "Fraction of variance unexplained",
        "Σ |x̂ − x|² / Σ |x − μ|²",
        _GAO,
        "reconstruction",
    ),
    Metric("l2_ratio", "", "one", "L2 ratio", "mean |x̂| / |x|", _SUPPRESSION, "reconstruction"),
    Metric(
        "reconstruction_bias",
        "",
        "one",
        "Relative reconstruction bias",
        "Σ |x̂|² / Σ ⟨x, x̂⟩",
        "Rajamanoharan et al. 2024, Improving dictionary learning with gated sparse autoencoders",
        "reconstruction",
    ),
    Metric(
        "cosine",
        "",
        "higher",
        "Cosine similarity",
        "mean ⟨x, x̂⟩ / (|x| |x̂|)",
        "Karvonen et al. 2025, SAEBench",
        "reconstruction",
    ),
    Metric(
        "density",
        "share of tokens",
        "none",
        "Density",
        "mean [f_i ≠ 0], for each latent i",
        _BRICKEN,
        "reconstruction",
        "latent",
    ),
    Metric(
        "dead",
        "share of latents",
        "lower",
        "Dead latents",
        "share of latents with f_i = 0 on every evaluated token",
        _BRICKEN,
        "reconstruction",
        "width",
    ),
    Metric("ce_loss", "nats/token", "lower", "Clean loss", "CE(x)", _BRICKEN, "language"),
    Metric(
        "ce_loss_sae", "nats/token", "lower", "Loss with the SAE", "CE(x̂)", _BRICKEN, "language"
    ),
    Metric(
        "ce_loss_zero",
        "nats/token",
        "none",
        "Loss under zero ablation",
        "CE(0)",
        _BRICKEN,
        "language",
    ),
    Metric(
        "ce_loss_mean",
        "nats/token",
        "none",
        "Loss under mean ablation",
        "CE(μ)",
        "mean ablation as in Wang et al. 2022, Interpretability in the wild",
        "language",
    ),
    Metric("delta_ce", "nats/token", "lower", "Added loss", "CE(x̂) − CE(x)", _GAO, "language"),
    Metric(
        "ce_recovered_zero",
        "",
        "higher",
        "Loss recovered over zero ablation",
        "(CE(0) − CE(x̂)) / (CE(0) − CE(x))",
        _BRICKEN,
        "language",
    ),
    Metric(
        "ce_recovered_mean",
        "",
        "higher",
        "Loss recovered over mean ablation",
        "(CE(μ) − CE(x̂)) / (CE(μ) − CE(x))",
        "mean ablation as in Wang et al. 2022, Interpretability in the wild",
        "language",
    ),
    Metric(
        "kl",
        "nats/token",
        "lower",
        "KL divergence from the clean model",
        "mean KL(p(·|x) ‖ p(·|x̂))",
        _GAO,
        "language",
    ),
    Metric("perplexity", "", "lower", "Clean perplexity", "exp CE(x)", _SUPPRESSION, "language"),
    Metric(
        "perplexity_sae",
        "",
        "lower",
        "Perplexity with the SAE",
        "exp CE(x̂)",
        _SUPPRESSION,
        "language",
    ),
    *_probed("accuracy", "share of tokens", "higher", "mean [y = argmax {}]"),
    *_probed("loss", "nats/token", "lower", "mean −log {}"),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def of_measure(measure: str) -> list[str]:
    """Return the names of the metrics that a measurement gives, in the registry's order."""
    return [metric.name for metric in _ALL if metric.measure == measure]
