"""TopK codes: the k largest pre-activations of each input, after Gao et al. 2024 (OpenAI).

    f = ReLU(TopK((x - b_dec) W_enc + b_enc)),  x_hat = f W_dec + b_dec

The loss is that of `saeflow.sae.steps.auxk`. Decoder rows have unit norm, the encoder starts as
their transpose, b_dec as the geometric median of a first batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saeflow.config.architectures import TopK as Settings
from saeflow.config.architectures import TopKRecipe as Recipe
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.sparse.select import top_k
from saeflow.sae.steps.auxk import initial_top_k, require_width, top_k_terms
from saeflow.sae.steps.backward import encoder_inputs, encoder_product
from saeflow.sae.steps.step import Batch, State, Terms, Weights, Workspace

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


def encode_sparse(
    weights: Weights, settings: Settings, x: Tensor, workspace: Workspace | None = None
) -> Codes:
    """Return the active latents of ``x`` (n, d_in)."""
    inputs = encoder_inputs(weights, settings, x, workspace)
    pre = encoder_product(weights["W_enc"], None, inputs, workspace)
    return top_k(pre, settings.k, bias=weights["b_enc"])


def step(
    weights: Weights, gradients: Weights, settings: Settings, batch: Batch, state: State
) -> Terms:
    """Write the gradients of the loss on a batch and return its terms."""
    inputs = encoder_inputs(weights, settings, batch.x, state.workspace)
    pre = encoder_product(weights["W_enc"], None, inputs, state.workspace)
    f = top_k(pre, settings.k, bias=weights["b_enc"])
    return top_k_terms(weights, gradients, settings, batch, state, inputs=inputs, pre=pre, f=f)
