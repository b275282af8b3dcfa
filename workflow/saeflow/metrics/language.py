"""What an SAE does to the model's predictions: formulas from sums over scored tokens, in nats.

Sums are ``predictions`` (the number of scored tokens), ``ce_clean``, ``ce_zero``, ``ce_mean`` and
``ce_sae`` (cross-entropies with the activations themselves, zero, their mean or reconstructions in
their place) and ``kl``.
"""

from __future__ import annotations

import numpy as np

from saeflow.metrics.metric import Measure, Metric, Sums, difference, ratio

SMALL_GAP_NATS = 0.01
"""Below this, the recovered share of an ablation's damage is a ratio of noises."""

_SUPPRESSION = "Wright and Sharkey 2024, Addressing feature suppression in SAEs"
_BRICKEN = "Bricken et al. 2023, Towards monosemanticity"
_GAO = "Gao et al. 2024, Scaling and evaluating sparse autoencoders"
_MEAN_ABLATION = "mean ablation as in Wang et al. 2022, Interpretability in the wild"
_NATS = "nats/token"


ce_loss = ratio("ce_clean", "predictions")
ce_loss_sae = ratio("ce_sae", "predictions")
ce_loss_zero = ratio("ce_zero", "predictions")
ce_loss_mean = ratio("ce_mean", "predictions")
delta_ce = difference("ce_sae", "ce_clean", "predictions")
kl = ratio("kl", "predictions")
# Both SAEs have the same predictions.
language_change = difference("tuned_ce_sae", "parent_ce_sae", "parent_predictions")


def ce_recovered_zero(sums: Sums) -> np.ndarray:
    """Return the share of zero ablation's damage that the SAE avoids."""
    return (sums["ce_zero"] - sums["ce_sae"]) / (sums["ce_zero"] - sums["ce_clean"])


def ce_recovered_mean(sums: Sums) -> np.ndarray:
    """Return the share of mean ablation's damage that the SAE avoids."""
    return (sums["ce_mean"] - sums["ce_sae"]) / (sums["ce_mean"] - sums["ce_clean"])


def perplexity(sums: Sums) -> np.ndarray:
    """Return the exponential of the untouched model's mean loss."""
    return np.exp(ce_loss(sums))


def perplexity_sae(sums: Sums) -> np.ndarray:
    """Return the exponential of the mean loss with the SAE."""
    return np.exp(ce_loss_sae(sums))


def perplexity_recovery(sums: Sums) -> np.ndarray:
    """Return the share of the perplexity that the parent adds which fine-tuning takes off."""
    n = sums["parent_predictions"]
    model, before, after = (
        np.exp(sums[name] / n) for name in ("parent_ce_clean", "parent_ce_sae", "tuned_ce_sae")
    )
    return (before - after) / (before - model)


def doubt_of_zero(sums: Sums) -> str:
    """Say that zero ablation hardly hurts, so that there is little to recover, if so."""
    return _doubt("zero", ce_loss_zero(sums) - ce_loss(sums))


def doubt_of_mean(sums: Sums) -> str:
    """Say that mean ablation hardly hurts, so that there is little to recover, if so."""
    return _doubt("mean", ce_loss_mean(sums) - ce_loss(sums))


def _doubt(kind: str, gap: np.ndarray) -> str:
    if gap >= SMALL_GAP_NATS:
        return ""
    return f"{kind} ablation adds only {gap:.4f} nats/token, so that this is mostly noise"


MEASURE = Measure(
    name="language",
    text="What an SAE in the place of a hook's activations does to the model's predictions.",
    compute="saeflow.measures.language:measure_language",
    reads=("activations", "model", "tokens", "clean"),
    metrics=(
        Metric("ce_loss", "Clean loss", "CE(x)", ce_loss, _BRICKEN, _NATS, "lower"),
        Metric("ce_loss_sae", "Loss with the SAE", "CE(x̂)", ce_loss_sae, _BRICKEN, _NATS, "lower"),
        Metric("ce_loss_zero", "Loss under zero ablation", "CE(0)", ce_loss_zero, _BRICKEN, _NATS),
        Metric(
            "ce_loss_mean", "Loss under mean ablation", "CE(μ)", ce_loss_mean, _MEAN_ABLATION, _NATS
        ),
        Metric("delta_ce", "Added loss", "CE(x̂) − CE(x)", delta_ce, _GAO, _NATS, "lower"),
        Metric(
            "ce_recovered_zero", "Loss recovered over zero ablation",
            "(CE(0) − CE(x̂)) / (CE(0) − CE(x))", ce_recovered_zero, _BRICKEN, direction="higher",
            doubt=doubt_of_zero,
        ),
        Metric(
            "ce_recovered_mean", "Loss recovered over mean ablation",
            "(CE(μ) − CE(x̂)) / (CE(μ) − CE(x))", ce_recovered_mean, _MEAN_ABLATION,
            direction="higher", doubt=doubt_of_mean,
        ),
        Metric(
            "kl", "KL divergence from the clean model", "mean KL(p(·|x) ‖ p(·|x̂))", kl, _GAO, _NATS,
            "lower",
        ),
        Metric(
            "perplexity", "Clean perplexity", "exp CE(x)", perplexity, _SUPPRESSION,
            direction="lower",
        ),
        Metric(
            "perplexity_sae", "Perplexity with the SAE", "exp CE(x̂)", perplexity_sae, _SUPPRESSION,
            direction="lower",
        ),
        Metric(
            "language_change", "Change of the loss", "CE(x̂) − CE(x̂₀)", language_change, _GAO,
            _NATS, "lower", paired=True,
        ),
        Metric(
            "perplexity_recovery", "Fractional perplexity recovery",
            "(exp CE(x̂₀) − exp CE(x̂)) / (exp CE(x̂₀) − exp CE(x))", perplexity_recovery,
            _SUPPRESSION, direction="higher", paired=True,
        ),
    ),
)  # fmt: skip
