"""Scaling of activations in training, and taking it off again: files read activations as they are.

An SAE trained on s x computes the same of x once s is folded into its weights. Every rule here is
positively homogeneous (scaling its input and biases scales its code), so the factor goes into
biases and thresholds, and the decoder keeps the norm of its rows. Read `factor` and `fold`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from saeflow.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

_DIVIDED = ("b_enc", "b_dec", "b_gate", "b_mag", "threshold")
"""Weights in units of the activations."""
_KEPT = ("W_dec", "r_mag")
"""Weights without a unit."""


def factor(kind: str, d: int, *, mean_norm: float, mean_square: float) -> float:
    """Return what activations of width ``d`` are multiplied by.

    Parameters
    ----------
    kind
        "none"; "mean_norm": to a mean norm of sqrt(d) (Anthropic, April 2024; SAELens'
        expected_average_only_in); "mean_square": to a mean squared norm of d (Scaling
        Monosemanticity); "unit": to a mean squared norm of 1 (Gated and JumpReLU SAEs).
    d
        Their width.
    mean_norm, mean_square
        Mean of |x| and of |x|^2 over the training rows.
    """
    if kind == "none":
        return 1.0
    norm = mean_norm if kind == "mean_norm" else math.sqrt(mean_square)
    if not norm > 0:
        raise ConfigError(
            "activations that are all zero cannot be scaled",
            where="scale_input",
            expected="none",
            got=kind,
        )
    return (1.0 if kind == "unit" else math.sqrt(d)) / norm


def fold(weights: Mapping[str, Tensor], scale: float, target_scale: float) -> dict[str, Tensor]:
    """Return the weights that compute of x what ``weights`` compute of the scaled x.

    Of an SAE trained on ``scale`` x to give ``target_scale`` y (y is x for an autoencoder), these
    have f'(x) = f(scale x) / target_scale and x_hat'(x) = x_hat(scale x) / target_scale; decoder
    rows keep their norm.
    """
    if scale == target_scale == 1.0:
        return dict(weights)
    folded = {}
    for name, w in weights.items():
        if name == "W_enc":
            folded[name] = w if scale == target_scale else w * (scale / target_scale)
        elif name in _DIVIDED:
            folded[name] = w / target_scale
        elif name in _KEPT:
            folded[name] = w
        else:
            raise ConfigError(
                f"it is not known how the weight {name} scales with the activations",
                expected=", ".join(("W_enc", *_DIVIDED, *_KEPT)),
                remedy="Say so in saeflow/sae/scale.py.",
            )
    return folded
