"""Presets of SAE recipes: the settings of papers, with their sources. Read `PRESETS`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Preset(NamedTuple):
    """The settings of a paper.

    Attributes
    ----------
    source : str
        Where they are from.
    missing : str
        What of it is not in them, and what is left to choose.
    values : dict
        Keys of a recipe.
    """

    source: str
    missing: str
    values: Mapping[str, Any]


_ANTHROPIC_BATCH, _STEPS = 8192, 1000

_BUSSMANN = {
    "subtract_b_dec": True,
    "aux_coef": 1 / 32,
    "learning_rate": 3e-4,
    "warmup_tokens": 0,
    "decay_tokens": 0,
    "batch_size": 4096,
    "adam_beta2": 0.99,
}

PRESETS: dict[str, Preset] = {
    "suppression-post": Preset(
        "Addressing Feature Suppression in SAEs (Wright, Sharkey 2024)",
        "the batch of 64, probably sequences, and the 6 epochs of 100 M tokens.",
        {
            "architecture": "relu",
            "error": "mean",
            "subtract_b_dec": False,
            "l1": 2e-3,
            "expansion": 4,
            "learning_rate": 1e-3,
        },
    ),
    "towards-monosemanticity": Preset(
        "Towards Monosemanticity (Bricken et al. 2023)",
        "the penalty; choose l1. Resampling is after 25, 50, 75 and 100 thousand steps of 8192"
        " tokens, of latents silent for 12,500: lower both for shorter runs.",
        {
            "architecture": "relu",
            "error": "sum",
            "subtract_b_dec": True,
            "center": "median",
            "batch_size": _ANTHROPIC_BATCH,
            "dead_tokens": 12_500 * _ANTHROPIC_BATCH,
            "resample_tokens": 25_000 * _ANTHROPIC_BATCH,
            "resample_until_tokens": 100_000 * _ANTHROPIC_BATCH,
            "resample_inputs": 819_200,
        },
    ),
    "anthropic-april-2024": Preset(
        "Circuits Updates, April 2024 (Anthropic): Training Sparse Autoencoders",
        "the batch. The penalty rises over a twentieth, the rate falls over a fifth of the run.",
        {
            "architecture": "relu",
            "error": "sum",
            "norm_weighted": True,
            "subtract_b_dec": False,
            "center": "zero",
            "l1": 5.0,
            "l1_warmup_tokens": None,
            "scale_input": "mean_square",
            "learning_rate": 5e-5,
            "warmup_tokens": 0,
            "clip_norm": 1.0,
        },
    ),
    "ghost-gradients": Preset(
        "Circuits Updates, January 2024 (Anthropic): Ghost Grads",
        "the penalty; choose l1. The rest is as in Towards Monosemanticity, without resampling.",
        {
            "architecture": "relu",
            "error": "sum",
            "subtract_b_dec": True,
            "center": "median",
            "penalties": {"ghost_gradients": 1.0},
        },
    ),
    "openai-topk": Preset(
        "Scaling and evaluating sparse autoencoders (Gao et al. 2024)",
        "k; the layer norm of each input, the batch of 131072 tokens, the moving average of the"
        " weights. Values of their code (openai/sparse_autoencoder).",
        {
            "architecture": "topk",
            "subtract_b_dec": True,
            "center": "median",
            "aux_coef": 1 / 32,
            "dead_tokens": 10_000_000,
            "learning_rate": 1e-4,
            "warmup_tokens": 0,
            "decay_tokens": 0,
            "adam_epsilon": 6.25e-10,
        },
    ),
    "gdm-gated": Preset(
        "Improving Dictionary Learning with Gated Sparse Autoencoders (Rajamanoharan et al. 2024)",
        "the penalty, choose l1; resampling; how the rate rises at the start, and whether it falls"
        " at the end, which the paper does not say. The rest is in its appendix D.1.",
        {
            "architecture": "gated",
            "subtract_b_dec": True,
            "learning_rate": 3e-4,
            "batch_size": 4096,
            "adam_beta1": 0.0,
        },
    ),
    "gdm-jumprelu": Preset(
        "Gemma Scope (Lieberum et al. 2024), section 3.2, with the SAEs of Jumping Ahead"
        " (Rajamanoharan et al. 2024)",
        "the penalty; choose l0_coef. The rate rises linearly from zero instead of along a cosine"
        " from a tenth; whether it falls at the end is not published. Thresholds are trained and"
        " not their logarithm.",
        {
            "architecture": "jumprelu",
            "bandwidth": 0.001,
            "init_threshold": 0.001,
            "subtract_b_dec": True,
            "center": "zero",
            "scale_input": "unit",
            "l0_warmup_tokens": 10 * _STEPS * 4096,
            "learning_rate": 7e-5,
            "warmup_tokens": _STEPS * 4096,
            "batch_size": 4096,
            "adam_beta1": 0.0,
        },
    ),
    "batchtopk": Preset(
        "BatchTopK Sparse Autoencoders (Bussmann, Leask, Nanda 2024)",
        "k; the normalisation of each input. Values of their code (bartbussmann/BatchTopK).",
        {"architecture": "batchtopk"} | _BUSSMANN,
    ),
    "crosscoder": Preset(
        "Sparse Crosscoders for Cross-Layer Features and Model Diffing (Lindsey et al. 2024)",
        "joined, and the penalty; choose l1. The rate is not published.",
        {
            "architecture": "relu",
            "error": "sum",
            "norm_weighted": True,
            "subtract_b_dec": False,
            "scale_input": "mean_norm",
        },
    ),
    "crosscoder-batchtopk": Preset(
        "Overcoming Sparsity Artifacts in Crosscoders to Interpret Chat-Tuning (Minder et al."
        " 2025)",
        "joined and k (100 in the paper). Decoder rows have norm 1 over all hooks together, which"
        " changes no function that can be found.",
        {
            "architecture": "batchtopk",
            "scale_input": "mean_norm",
            "aux_coef": 1 / 32,
            "learning_rate": 1e-4,
            "batch_size": 2048,
        },
    ),
    "matryoshka": Preset(
        "Learning Multi-Level Features with Matryoshka SAEs (Bussmann et al. 2025)",
        "k. Values of their training script; batch and beta2 are those of their BatchTopK code,"
        " from which it comes.",
        {"architecture": "matryoshka"} | _BUSSMANN,
    ),
    "p-anneal": Preset(
        "Measuring Progress in Dictionary Learning with Board Game Models (Karvonen et al. 2024)",
        "the penalty; choose l1. The number of steps is that of their trainer"
        " (saprmarks/dictionary_learning).",
        {
            "architecture": "p_anneal",
            "subtract_b_dec": True,
            "p_end": 0.2,
            "n_updates": 10,
        },
    ),
}
