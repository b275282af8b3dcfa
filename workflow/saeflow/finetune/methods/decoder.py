"""Decoder: a factor per latent, the decoder's directions and its bias are trainable.

    x_hat = (s * f) W_dec + b_dec

W_dec keeps unit rows, as in training (the post does not say): s holds the size and W_dec the
direction, so that the learning rate of both means the same as there. Folded, the rows have the
norm s. Latents that are never active stay as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saeflow.finetune.fit import error_of, squared_error_gradient
from saeflow.sae.codes import Codes
from saeflow.sae.model import SAE

UNIT_ROWS = ("W_dec",)
_EPSILON = 1e-12


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The method has no settings of its own."""


def initial(parent: SAE) -> dict[str, Tensor]:
    """Return the trainable weights at the start: the parent itself."""
    norm = torch.linalg.vector_norm(parent.W_dec, dim=1)
    rows = parent.W_dec / norm.clamp_min(_EPSILON)[:, None]
    return {"scale": norm, "W_dec": rows, "b_dec": parent.b_dec.clone()}


def step(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    parent: SAE,  # noqa: ARG001
    x: Tensor,
    codes: Codes,
) -> float:
    """Write the gradients for a batch ``x`` (n, d_in); return the sum of squared errors."""
    scale, W_dec = weights["scale"], weights["W_dec"]
    error, total = error_of(x, codes, scale, W_dec, weights["b_dec"])
    d_x_hat = squared_error_gradient(error)
    by_row = codes.by_latent.matmul(codes.values, d_x_hat)
    torch.mul(by_row, scale[:, None], out=gradients["W_dec"])
    torch.sum(by_row.mul_(W_dec), 1, out=gradients["scale"])
    torch.sum(d_x_hat, 0, out=gradients["b_dec"])
    return total


def fold(parent: SAE, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the SAE that computes the same without a factor."""
    W_dec = weights["W_dec"] * weights["scale"][:, None]
    return {**parent.weights, "W_dec": W_dec, "b_dec": weights["b_dec"]}
