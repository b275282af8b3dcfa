"""What SAEs are held against: random errors of the same size, and ablations, on the same tokens.

Sums over scored tokens are ``predictions``; cross-entropies in nats, ``ce_clean``, ``ce_zero``,
``ce_mean`` and ``ce_sae`` (as those of `saeflow.metrics.language`), ``ce_norm`` and ``ce_cosine``
(with a random error of the norm of the SAE's, without and with the cosine and norm of its
reconstruction); and divergences from the clean predictions, ``kl_sae``, ``kl_norm``, ``kl_cosine``.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from saeflow.metrics.metric import Measure, Metric, Sums, difference, quotient, ratio

LEAST_NATS = 0.001
"""Below this, what a random error adds is noise, and so is a ratio to it."""

_GURNEE = "Gurnee 2024, SAE reconstruction errors are (empirically) pathological"
_BRICKEN = "Bricken et al. 2023, Towards monosemanticity"
_MEAN_ABLATION = "mean ablation as in Wang et al. 2022, Interpretability in the wild"
_NATS = "nats/token"


controls_delta_ce = difference("ce_sae", "ce_clean", "predictions")
delta_ce_random_norm = difference("ce_norm", "ce_clean", "predictions")
delta_ce_random_cosine = difference("ce_cosine", "ce_clean", "predictions")
delta_ce_zero = difference("ce_zero", "ce_clean", "predictions")
delta_ce_mean = difference("ce_mean", "ce_clean", "predictions")
controls_kl = ratio("kl_sae", "predictions")
kl_random_norm = ratio("kl_norm", "predictions")
kl_random_cosine = ratio("kl_cosine", "predictions")
pathology_kl_norm = ratio("kl_sae", "kl_norm")
pathology_kl_cosine = ratio("kl_sae", "kl_cosine")


pathology_norm = quotient(controls_delta_ce, delta_ce_random_norm)
pathology_cosine = quotient(controls_delta_ce, delta_ce_random_cosine)


def doubt_of_norm(sums: Sums) -> str:
    """Say that a random error of the same norm hardly hurts, if so."""
    return _doubt("norm", delta_ce_random_norm(sums))


def doubt_of_cosine(sums: Sums) -> str:
    """Say that a random error of the same cosine hardly hurts, if so."""
    return _doubt("cosine", delta_ce_random_cosine(sums))


def _doubt(what: str, gap: np.ndarray) -> str:
    if gap >= LEAST_NATS:
        return ""
    return (
        f"a random error of equal {what} adds only {gap:.5f} nats/token: the SAE's ratio to it is"
        " noise"
    )


_nats = partial(Metric, unit=_NATS)

MEASURE = Measure(
    name="controls",
    text="What random errors of the size of an SAE's, and ablations, do to the model's"
    " predictions, beside the SAE on the same tokens.",
    compute="saeflow.measures.controls:measure_controls",
    reads=("activations", "model", "tokens", "clean"),
    together=True,
    metrics=(
        _nats(
            "controls_delta_ce", "Added loss, SAE", "CE(x̂) − CE(x), on the tokens of the controls",
            controls_delta_ce, _GURNEE, direction="lower",
        ),
        _nats(
            "delta_ce_random_norm", "Added loss, random error of equal norm",
            "CE(x + |x̂ − x| v) − CE(x)", delta_ce_random_norm, _GURNEE,
        ),
        _nats(
            "delta_ce_random_cosine", "Added loss, random error of equal cosine",
            "CE(x′) − CE(x), |x′| = |x̂|, cos(x, x′) = cos(x, x̂), what is left along v",
            delta_ce_random_cosine, _GURNEE,
        ),
        _nats(
            "delta_ce_zero", "Added loss, zero ablation", "CE(0) − CE(x)", delta_ce_zero, _BRICKEN
        ),
        _nats(
            "delta_ce_mean", "Added loss, mean ablation", "CE(μ) − CE(x)", delta_ce_mean,
            _MEAN_ABLATION,
        ),
        Metric(
            "pathology_norm", "Added loss over that of a random error of equal norm",
            "(CE(x̂) − CE(x)) / (CE(x + |x̂ − x| v) − CE(x))", pathology_norm, _GURNEE,
            direction="lower", doubt=doubt_of_norm,
        ),
        Metric(
            "pathology_cosine", "Added loss over that of a random error of equal cosine",
            "(CE(x̂) − CE(x)) / (CE(x′) − CE(x))", pathology_cosine, _GURNEE, direction="lower",
            doubt=doubt_of_cosine,
        ),
        _nats(
            "controls_kl", "KL divergence, SAE", "mean KL(p(·|x) ‖ p(·|x̂)), on those tokens",
            controls_kl, _GURNEE, direction="lower",
        ),
        _nats(
            "kl_random_norm", "KL divergence, random error of equal norm",
            "mean KL(p(·|x) ‖ p(·|x + |x̂ − x| v))", kl_random_norm, _GURNEE,
        ),
        _nats(
            "kl_random_cosine", "KL divergence, random error of equal cosine",
            "mean KL(p(·|x) ‖ p(·|x′))", kl_random_cosine, _GURNEE,
        ),
        Metric(
            "pathology_kl_norm", "KL divergence over that of a random error of equal norm",
            "mean KL(p(·|x) ‖ p(·|x̂)) / mean KL(p(·|x) ‖ p(·|x + |x̂ − x| v))", pathology_kl_norm,
            _GURNEE, direction="lower",
        ),
        Metric(
            "pathology_kl_cosine", "KL divergence over that of a random error of equal cosine",
            "mean KL(p(·|x) ‖ p(·|x̂)) / mean KL(p(·|x) ‖ p(·|x′))", pathology_kl_cosine, _GURNEE,
            direction="lower",
        ),
    ),
)  # fmt: skip
