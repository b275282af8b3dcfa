"""BatchTopK codes: the largest pre-activations of a whole batch, after Bussmann et al. 2024.

    f = ReLU((x - b_dec) W_enc + b_enc) where among the k * n largest of the batch's n inputs,
    else 0;  x_hat = f W_dec + b_dec

Of a crosscoder (Minder et al. 2025), x are the activations of several hooks side by side, and what
is compared is the pre-activation times the sum of the latent's decoder norms at the hooks.

Outside of training a stored threshold selects, see `saeflow.sae.steps.batchwise`. The loss and the
rest of the recipe are TopK's, see `saeflow.sae.steps.auxk`.
"""

from __future__ import annotations

from saeflow.config.architectures import BatchTopKRecipe as Recipe
from saeflow.config.architectures import BatchTopKSettings as Settings
from saeflow.sae.steps.auxk import top_k_terms
from saeflow.sae.steps.backward import encoder_inputs, encoder_product
from saeflow.sae.steps.batchwise import encode_sparse, initial, select
from saeflow.sae.steps.step import Batch, State, Terms, Weights

__all__ = ["Recipe", "Settings", "encode_sparse", "initial", "step"]

BUFFERS = ("threshold",)
VECTORS = ("b_enc", "threshold")
SAELENS = "jumprelu"
SAELENS_NAMES = ()


def step(
    weights: Weights, gradients: Weights, settings: Settings, batch: Batch, state: State
) -> Terms:
    """Write the gradients of the loss on a batch and return its terms."""
    inputs = encoder_inputs(weights, settings, batch.x, state.workspace)
    pre = encoder_product(weights["W_enc"], weights["b_enc"], inputs, state.workspace)
    f = select(pre, weights, settings, tokens=state.tokens)
    return top_k_terms(weights, gradients, settings, batch, state, inputs=inputs, pre=pre, f=f)
