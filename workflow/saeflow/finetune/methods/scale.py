"""Scale: one trainable factor per latent, all else frozen.

    x_hat = (s * f) W_dec + b_dec

The factor is folded into the decoder's rows, so that their norm is the effective scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saeflow.finetune.fit import error_of, squared_error_gradient
from saeflow.sae.codes import Codes
from saeflow.sae.model import SAE

UNIT_ROWS = ()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The method has no settings of its own."""


def initial(parent: SAE) -> dict[str, Tensor]:
    """Return the trainable weights at the start: the parent itself."""
    return {"scale": torch.ones_like(parent.b_enc)}


def step(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    parent: SAE,
    x: Tensor,
    codes: Codes,
) -> float:
    """Write the gradients for a batch ``x`` (n, d_in); return the sum of squared errors."""
    error, total = error_of(x, codes, weights["scale"], parent.W_dec, parent.b_dec)
    by_row = codes.by_latent.matmul(codes.values, squared_error_gradient(error))
    torch.sum(by_row.mul_(parent.W_dec), 1, out=gradients["scale"])
    return total


def fold(parent: SAE, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the SAE that computes the same without a factor."""
    return {**parent.weights, "W_dec": parent.W_dec * weights["scale"][:, None]}
