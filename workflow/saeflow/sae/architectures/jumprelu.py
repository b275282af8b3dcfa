"""JumpReLU codes with a penalty on their number, after Rajamanoharan et al. 2024.

    z = x W_enc + b_enc,  f = ReLU(z) where z > threshold, else 0,  x_hat = f W_dec + b_dec
    loss = mean over the batch of |x_hat - x|^2  +  penalty of the batch's mean l0
    penalty = l0_coef * l0,  or with target_l0:  l0_coef * (l0 / target_l0 - 1)^2

("Jumping Ahead", arXiv 2407.14435; the target form as in its appendix, on the batch's mean.) The
thresholds get the straight-through gradient with a rectangular kernel of width ``bandwidth``:

    d f / d threshold = -threshold / bandwidth,  d l0 / d threshold = -1 / bandwidth
    where z > 0 and |z - threshold| < bandwidth / 2, else 0

and nothing else does. ``aux_coef`` adds that times AuxK (`saeflow.sae.steps.auxk`), which the
paper does not have: a latent whose threshold is above all of its pre-activations has no gradient
otherwise. Bandwidth 0.001 and thresholds that start at 0.001 are the paper's, for
activations scaled to a mean |x|^2 of 1.

NOTE: the paper trains log(threshold). Adam moves a weight by about its step size, so a small
threshold hardly moves that way; like SAELens and dictionary_learning we train the threshold
itself. One below zero acts as zero, and the penalty pulls it back.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saeflow.config.architectures import JumpReLU as Settings
from saeflow.config.architectures import JumpReLURecipe as Recipe
from saeflow.sae.schedule import ramp
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.sparse.dense import DenseCodes
from saeflow.sae.steps.auxk import add_aux
from saeflow.sae.steps.backward import (
    active,
    encoder_inputs,
    encoder_product,
    pre_activations,
    reconstruct,
    write_decoder_gradients,
    write_encoder_gradients,
)
from saeflow.sae.steps.initial import first_weights
from saeflow.sae.steps.step import Batch, State, Terms, Weights, Workspace

__all__ = ["Recipe", "Settings"]

BUFFERS = ()
VECTORS = ("b_enc", "threshold")
SAELENS = "jumprelu"
SAELENS_NAMES = ("jumprelu",)


def initial(
    settings: Settings, d_sae: int, x: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return first weights, thresholds alike, from a first batch ``x`` (n, d_in)."""
    threshold = x.new_full((d_sae,), settings.init_threshold)
    return {**first_weights(settings, d_sae, x, generator), "threshold": threshold}


def encode_sparse(
    weights: Weights, settings: Settings, x: Tensor, workspace: Workspace | None = None
) -> Codes | DenseCodes:
    """Return the active latents of ``x`` (n, d_in)."""
    pre = pre_activations(weights, settings, x, workspace)
    return active(pre, weights["threshold"].clamp(min=0), workspace)


def step(
    weights: Weights, gradients: Weights, settings: Settings, batch: Batch, state: State
) -> Terms:
    """Write the gradients of the loss on a batch and return its terms."""
    n, work = len(batch), state.workspace
    threshold, half = weights["threshold"].clamp(min=0), settings.bandwidth / 2
    inputs = encoder_inputs(weights, settings, batch.x, work)
    pre = encoder_product(weights["W_enc"], weights["b_enc"], inputs, work)
    aux = bool(settings.aux_coef) and bool(state.dead.any())
    # the codes may take the memory of the pre-activations
    kept = work.buffer("aux_pre", tuple(pre.shape), pre).copy_(pre) if aux else None
    # all that is active or within the kernel of its threshold
    near = active(pre, (threshold - half).clamp_(min=0), work)
    z, at = near.values, near.at_entries(threshold)
    on = z > at
    window = (z - at).abs_() < half
    if not isinstance(near, Codes):
        window &= z > 0
    f = near.with_values(z * on)
    found = reconstruct(f, weights, batch.target)
    n_active = int(on.sum())
    penalty, slope = _penalty(settings, n_active / n, state)
    d_x_hat = found.error.mul_(2 / n)
    d_f = found.pullback(d_x_hat)
    d_threshold = near.by_latent.sum((at * d_f).add_(slope / n).mul_(window))
    torch.mul(d_threshold, -1 / settings.bandwidth, out=gradients["threshold"])
    write_decoder_gradients(gradients, f, d_x_hat)
    write_encoder_gradients(weights, gradients, settings, f, d_f.mul_(on), inputs)
    if kept is not None:
        left = d_x_hat.mul_(-n / 2)
        penalty += add_aux(weights, gradients, settings, inputs, kept, left, state)
    fired = near.by_latent.sum(on.to(z)) > 0
    return Terms(found.total / n + penalty, found.total, penalty, n_active, fired)


def _penalty(settings: Settings, l0: float, state: State) -> tuple[float, float]:
    """Return the penalty of a mean ``l0`` and its slope."""
    coef = settings.l0_coef * ramp(state.tokens, settings.l0_warmup_tokens, state.total)
    if settings.target_l0 is None:
        return coef * l0, coef
    excess = l0 / settings.target_l0 - 1
    return coef * excess**2, 2 * coef * excess / settings.target_l0
