"""What an SAE gives back of the activations: formulas from sums over tokens.

Summed over the tokens of a document are, of activations x, their reconstruction x_hat and the mean
mu of x over all evaluated tokens:

    tokens                                   1
    active, activation                       latents unequal zero, and the sum of the latents
    squared_error, squared_deviation         |x_hat - x|^2 and |x - mu|^2
    squared_norm, squared_norm_hat, inner    |x|^2, |x_hat|^2 and <x, x_hat>
    directed                                 1 where x is not zero
    norm_ratio                               |x_hat| / |x|; 0 where x is zero
    cosine                                   cos(x, x_hat); 0 where one of the two is zero

and for each latent ``fired``, the number of tokens on which it is unequal zero.
"""

from __future__ import annotations

import numpy as np

from saeflow.metrics.metric import Measure, Metric, Sums, ratio

DENSE_SHARE = 1 / 4
"""An SAE of which more of the latents are active on a token, on average, is not sparse."""
SILENT_L0 = 1.0
"""One with fewer active latents says nothing of most tokens."""

_SUPPRESSION = "Wright and Sharkey 2024, Addressing feature suppression in SAEs"
_BRICKEN = "Bricken et al. 2023, Towards monosemanticity"
_GAO = "Gao et al. 2024, Scaling and evaluating sparse autoencoders"
_GATED = "Rajamanoharan et al. 2024, Improving dictionary learning with gated sparse autoencoders"


def mse(sums: Sums) -> np.ndarray:
    """Return the squared error, averaged over tokens and over the ``d_in`` dimensions."""
    return sums["squared_error"] / (sums["tokens"] * sums["d_in"])


l0 = ratio("active", "tokens")
fvu = ratio("squared_error", "squared_deviation")
l2_ratio = ratio("norm_ratio", "directed")
reconstruction_bias = ratio("squared_norm_hat", "inner")
"""The factor g with the least sum of |x_hat / g - x|^2: dividing reconstructions by it is the best
that rescaling them can do. Below 1 they are suppressed."""
cosine = ratio("cosine", "directed")


def density(sums: Sums) -> np.ndarray:
    """Return the share of tokens on which each latent is not zero, (..., d_sae).

    ``fired`` (..., d_sae) counts these tokens.
    """
    return sums["fired"] / np.asarray(sums["tokens"])[..., None]


def dead(sums: Sums) -> np.ndarray:
    """Return the share of latents that fired on no evaluated token.

    It means nothing without the number of tokens, which is printed with it.
    """
    return (sums["fired"] == 0).mean(axis=-1)


def mse_reduction(sums: Sums) -> np.ndarray:
    """Return the share of its parent's squared error that a fine-tuned SAE removes.

    The number of tokens and the width are the same on both sides, so they cancel.
    """
    before = sums["parent_squared_error"]
    return (before - sums["tuned_squared_error"]) / before


def doubt_of_l0(sums: Sums) -> str:
    """Say that an SAE is not sparse, or hardly ever active, and what to do about it, if so."""
    found, d_sae = l0(sums), sums["d_sae"]
    if found > DENSE_SHARE * d_sae:
        return (
            f"{found:.4g} of {d_sae:.0f} latents are active on a token, more than a quarter: not"
            " sparse; raise the penalty (l1, l0_coef), set target_l0 in its place, or lower k"
        )
    if found < SILENT_L0:
        return (
            f"{found:.2g} latents are active on a token, fewer than one: it hardly reads anything;"
            " lower the penalty (l1, l0_coef), or set target_l0 in its place"
        )
    return ""


MEASURE = Measure(
    name="reconstruction",
    text="How well an SAE gives back the activations of a hook.",
    compute="saeflow.measures.reconstruction:measure_reconstruction",
    metrics=(
        Metric(
            "l0", "L0", "mean count(f ≠ 0)", l0, _BRICKEN, "latents/token", doubt=doubt_of_l0
        ),
        Metric("mse", "MSE", "mean |x̂ − x|² / d_in", mse, _SUPPRESSION, direction="lower"),
        Metric(
            "fvu", "Fraction of variance unexplained", "Σ |x̂ − x|² / Σ |x − μ|²", fvu, _GAO,
            direction="lower",
        ),
        Metric("l2_ratio", "L2 ratio", "mean |x̂| / |x|", l2_ratio, _SUPPRESSION, direction="one"),
        Metric(
            "reconstruction_bias", "Relative reconstruction bias", "Σ |x̂|² / Σ ⟨x, x̂⟩",
            reconstruction_bias, _GATED, direction="one",
        ),
        Metric(
            "cosine", "Cosine similarity", "mean ⟨x, x̂⟩ / (|x| |x̂|)", cosine,
            "Karvonen et al. 2025, SAEBench", direction="higher",
        ),
        Metric(
            "density", "Density", "mean [f_i ≠ 0], for each latent i", density, _BRICKEN,
            "share of tokens", per="latent",
        ),
        Metric(
            "dead", "Dead latents", "share of latents with f_i = 0 on every evaluated token", dead,
            _BRICKEN, "share of latents", "lower", per="width",
        ),
        Metric(
            "mse_reduction", "Fractional MSE reduction", "(Σ |x̂₀ − x|² − Σ |x̂ − x|²) / Σ |x̂₀ − x|²",
            mse_reduction, _SUPPRESSION, direction="higher", paired=True,
        ),
    ),
)  # fmt: skip
