"""ReLU codes with an L1 penalty, in the three forms that are common.

    f = ReLU(x W_enc + b_enc),  x_hat = f W_dec + b_dec
    loss = mean over the batch of  |x_hat - x|^2 / d_in + l1 * sum_i f_i

This is the form of the feature suppression post: b_dec is not subtracted before encoding, decoder
rows have unit norm. The others:

    Towards Monosemanticity (Bricken et al. 2023)   f of x - b_dec: ``subtract_b_dec``
    Anthropic, April 2024 update                    the penalty is l1 * sum_i f_i |W_dec_i| and the
                                                    rows' norms are free: ``norm_weighted``
    Crosscoders (Lindsey et al. 2024)               x are activations of several hooks side by side,
                                                    of ``widths``, and each row of W_dec weighs by
                                                    the sum of its norms at the hooks

All of them sum the error over d_in instead of averaging it: ``error: sum``, with which l1 has
their size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saeflow.config.architectures import ReLURecipe as Recipe
from saeflow.config.architectures import ReLUSettings as Settings
from saeflow.sae.schedule import ramp
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.sparse.dense import DenseCodes
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
from saeflow.sae.steps.joined import norms
from saeflow.sae.steps.step import Batch, State, Terms, Weights, Workspace

__all__ = ["Recipe", "Settings"]

BUFFERS = ()
VECTORS = ("b_enc",)
SAELENS = "standard"
SAELENS_NAMES = ("standard",)

FREE_NORM = 0.1


def initial(
    settings: Settings, d_sae: int, x: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return first weights, from a first batch ``x`` (n, d_in).

    The encoder is scaled so that x_hat - b_dec is about x - b_dec in size (the post does not say
    how its weights start). Norm-weighted: rows of norm `FREE_NORM` and their transpose, as
    Anthropic has it.
    """
    if settings.norm_weighted:
        return first_weights(settings, d_sae, x, generator, norm=FREE_NORM)
    # half the latents are active: the sum of their contributions is d_sae / (2 d_in) of x
    scale = min(1.0, 2 * x.shape[1] / d_sae)
    return first_weights(settings, d_sae, x, generator, scale=lambda *_: scale)


def encode_sparse(
    weights: Weights, settings: Settings, x: Tensor, workspace: Workspace | None = None
) -> Codes | DenseCodes:
    """Return the active latents of ``x`` (n, d_in)."""
    return active(pre_activations(weights, settings, x, workspace), 0.0, workspace)


def step(
    weights: Weights, gradients: Weights, settings: Settings, batch: Batch, state: State
) -> Terms:
    """Write the gradients of the loss on a batch and return its terms."""
    n, target, work = len(batch), batch.target, state.workspace
    inputs = encoder_inputs(weights, settings, batch.x, work)
    f = active(encoder_product(weights["W_enc"], weights["b_enc"], inputs, work), 0.0, work)
    l1 = settings.l1 * ramp(state.tokens, settings.l1_warmup_tokens, state.total)
    scale = n if settings.error == "sum" else target.numel()
    found = reconstruct(f, weights, target)
    d_x_hat = found.error.mul_(2 / scale)
    d_f = found.pullback(d_x_hat)
    write_decoder_gradients(gradients, f, d_x_hat)
    penalty = _penalise(weights, gradients, settings, f, d_f, l1 / n)
    write_encoder_gradients(weights, gradients, settings, f, f.masked(d_f), inputs)
    loss = found.total / scale + penalty
    return Terms(loss, found.total, penalty, f.n_active, f.by_latent.counts > 0)


def _penalise(
    weights: Weights,
    gradients: Weights,
    settings: Settings,
    f: Codes | DenseCodes,
    d_f: Tensor,
    slope: float,
) -> float:
    """Add the gradients of ``slope`` times the sum of the codes ``f``; return that term.

    ``d_f``, of the shape of the codes' values, is added to on inactive entries too.
    """
    if not settings.norm_weighted:
        d_f.add_(slope)
        return slope * float(f.values.sum())
    found = norms(weights["W_dec"], settings.widths)
    sums = f.by_latent.sum(f.values)
    d_f.add_(f.at_entries(found.sum), alpha=slope)
    gradients["W_dec"].addcmul_(sums[:, None] / found.columns, weights["W_dec"], value=slope)
    return slope * float(found.sum @ sums)
