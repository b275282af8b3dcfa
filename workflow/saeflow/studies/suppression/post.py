"""The numbers of the post, "Addressing Feature Suppression in SAEs" (Wright and Sharkey, 2024).

Pythia-70m, residual stream after each of six blocks, SAEs of 2,048 latents with an L1 coefficient
of 2e-3, 100 M tokens of OpenWebText. Layers are 1-based there.
"""

from __future__ import annotations

MEAN_OVER_LAYERS = {
    "mse_reduction": {
        "baseline": 0.002,
        "scale": 0.060,
        "unrotated_decoder": 0.061,
        "decoder": 0.088,
    },
    "perplexity_recovery": {
        "baseline": 0.005,
        "scale": 0.156,
        "unrotated_decoder": 0.162,
        "decoder": 0.241,
    },
}
"""Figures 4 and 5: fraction of the parent's error, and of the added perplexity, that is gone."""

L2_RATIO = {
    "original": (0.88651067, 0.86834979, 0.84479147, 0.86063075, 0.86816871, 0.9951911),
    "decoder": (0.9771778, 0.9477061, 0.93124998, 0.92301691, 0.92854148, 1.00137651),
}
"""Table A1, by layer."""

CORRELATIONS = {
    ("scaling", "strength", "plain"): -0.710,
    ("scaling", "frequency", "plain"): 0.786,
    ("scaling", "strength", "partial"): -0.501,
    ("scaling", "frequency", "partial"): 0.652,
    ("increase", "strength", "plain"): -0.078,
    ("increase", "frequency", "plain"): 0.569,
    ("increase", "strength", "partial"): 0.378,
    ("increase", "frequency", "partial"): 0.646,
}
"""Layer 5, live latents after fine-tuning the decoder: (effect, cause, kind) -> r."""

ROTATION = 0.983
"""Layer 5: mean cosine of a live latent's decoder row before and after."""
