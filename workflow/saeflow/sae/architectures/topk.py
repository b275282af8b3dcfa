"""TopK codes: the k largest pre-activations of each input, after Gao et al. 2024 (OpenAI).

    f = ReLU(TopK((x - b_dec) W_enc + b_enc)),  x_hat = f W_dec + b_dec

The loss is that of `saeflow.sae.steps.auxk`. Decoder rows have unit norm, the encoder starts as
their transpose, b_dec as the geometric median of a first batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from saeflow.config.architectures import TopK as Settings
from saeflow.config.architectures import TopKRecipe as Recipe
from saeflow.errors import ConfigError
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.sparse.select import top_k
from saeflow.sae.steps.auxk import initial_top_k, require_width, top_k_terms
from saeflow.sae.steps.backward import encoder_inputs, encoder_product
from saeflow.sae.steps.step import Batch, State, Terms, Workspace

__all__ = ["Recipe", "Settings"]

BUFFERS = ()
VECTORS = ("b_enc",)
SAELENS = "topk"
SAELENS_NAMES = ("topk",)


def initial(
    settings: Settings, d_sae: int, x: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return first weights, from a first batch ``x`` (n, d_in)."""
    require_width(settings.k, d_sae)
    return initial_top_k(settings, lambda pre: top_k(pre, settings.k), d_sae, x, generator)


def encode(weights: Mapping[str, Tensor], settings: Settings, x: Tensor) -> Tensor:
    """Return the dense latents of ``x`` (n, d_in), (n, d_sae)."""
    return encode_sparse(weights, settings, x).dense()


def encode_sparse(
    weights: Mapping[str, Tensor], settings: Settings, x: Tensor, workspace: Workspace | None = None
) -> Codes:
    """Return the active latents of ``x`` (n, d_in)."""
    inputs = encoder_inputs(weights, settings, x, workspace)
    pre = encoder_product(weights["W_enc"], None, inputs, workspace)
    return top_k(pre, settings.k, bias=weights["b_enc"])


def step(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    settings: Settings,
    batch: Batch,
    state: State,
) -> Terms:
    """Write the gradients of the loss on a batch and return its terms."""
    inputs = encoder_inputs(weights, settings, batch.x, state.workspace)
    pre = encoder_product(weights["W_enc"], None, inputs, state.workspace)
    f = top_k(pre, settings.k, bias=weights["b_enc"])
    return top_k_terms(weights, gradients, settings, batch, state, inputs=inputs, pre=pre, f=f)


def to_saelens(settings: Settings) -> dict[str, Any]:
    """Return the keys of SAELens' cfg.json that describe the rule."""
    return {
        "k": settings.k,
        "rescale_acts_by_decoder_norm": False,
        "apply_b_dec_to_input": settings.subtract_b_dec,
    }


def from_saelens(config: Mapping[str, Any], weights: dict[str, Tensor]) -> tuple:
    """Return the (settings, weights) of a SAELens "topk" SAE.

    One that selects by pre-activation times decoder norm is brought to unit-norm rows, where
    both rules are one.
    """
    if "k" not in config:
        raise ConfigError(
            "a TopK SAE says its k", where="cfg.json > k", expected="an integer", got="no k"
        )
    subtracted = config.get("apply_b_dec_to_input", True)
    found = {"k": int(config["k"]), "subtract_b_dec": subtracted}
    settings = Settings.read(found, where="cfg.json")
    if config.get("rescale_acts_by_decoder_norm", False):
        norm = weights["W_dec"].norm(dim=1)
        weights = {
            **weights,
            "W_enc": weights["W_enc"] * norm,
            "b_enc": weights["b_enc"] * norm,
            "W_dec": weights["W_dec"] / norm[:, None],
        }
    return settings, weights
