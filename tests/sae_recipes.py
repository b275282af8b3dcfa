"""A small recipe of every architecture, and of every option that a recipe can have."""

from saeflow import registry
from saeflow.sae.model import ARCHITECTURES

COMMON = {"expansion": 2, "batch_size": 128, "log_tokens": 512, "dead_tokens": 400, "seed": 0}

OWN = {
    "batchtopk": {"k": 3},
    "gated": {"l1": 0.05},
    "jumprelu": {"l0_coef": 0.01},
    "matryoshka": {"k": 3},
    "p_anneal": {"l1": 0.05},
    "relu": {"l1": 0.01},
    "topk": {"k": 3},
}

OPTIONS = {
    "expansion": 6,
    "learning_rate": 0.03,
    "scale_input": "mean_norm",
    "resample_tokens": 384,
    "resample_until_tokens": 1800,
    "resample_inputs": 200,
    "clip_norm": 1.0,
    "adam_beta1": 0.5,
    "decay_shape": "cosine",
    "dead_tokens": 1,  # silent in the last batch
}
"""Everything that can be asked for at once, of any architecture; some latents are always dead."""

BF16 = ("gated", "topk")
"""Architectures that also have a recipe with bfloat16 products, dense codes and sparse ones."""

STRONG = {"gated": {"l1": 100.0}, "jumprelu": {"init_threshold": 1.5}, "p_anneal": {"l1": 100.0},
          "relu": {"l1": 1.0}}  # fmt: skip
"""What leaves latents dead within a few steps."""


def plain() -> dict[str, dict]:
    """Return a recipe of every architecture, by its name."""
    return {
        name: {"architecture": name, **OWN[name], **COMMON}
        for name in registry.names(ARCHITECTURES)
    }


def recipes() -> dict[str, dict]:
    """Return a recipe of every architecture, ``NAME+`` with all the options, two in bfloat16."""
    full = {
        f"{name}+": {**recipe, **STRONG.get(name, {}), **OPTIONS}
        for name, recipe in plain().items()
    }
    full["relu+"]["penalties"] = {"ghost_gradients": 1.0}
    low = {f"{name}-bf16": {**plain()[name], "matmul_dtype": "bfloat16"} for name in BF16}
    return {**plain(), **full, **low}
