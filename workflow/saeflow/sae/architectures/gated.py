"""Gated codes: one path decides which latents are active, another how strong (Rajamanoharan 2024).

    z = (x - b_dec) W_enc                     the product that both paths share
    gate = ReLU(z + b_gate)                   active where it is above zero
    f = ReLU(z exp(r_mag) + b_mag) where gate > 0, else 0,  x_hat = f W_dec + b_dec
    loss = mean over the batch of |x_hat - x|^2 + l1 * sum_i gate_i + |x_gate - x|^2
    x_gate = gate W_dec + b_dec               with W_dec and b_dec held constant there

("Improving Dictionary Learning with Gated Sparse Autoencoders", arXiv 2404.16014.) The penalty
and the last term alone train the gate, the first alone the magnitudes, r_mag, the decoder. Decoder
rows have unit norm.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saeflow.config.architectures import Gated as Settings
from saeflow.config.architectures import GatedRecipe as Recipe
from saeflow.sae.schedule import ramp
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.sparse.dense import DenseCodes
from saeflow.sae.steps.backward import (
    active,
    encoder_inputs,
    encoder_product,
    reconstruct,
    take_off_input_share,
    write_decoder_gradients,
)
from saeflow.sae.steps.initial import first_weights
from saeflow.sae.steps.step import Batch, State, Terms, Weights, Workspace

__all__ = ["Recipe", "Settings"]

BUFFERS = ()
VECTORS = ("b_gate", "b_mag", "r_mag")
SAELENS = "gated"
SAELENS_NAMES = ("gated",)


def initial(
    settings: Settings, d_sae: int, x: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return first weights, both paths alike, from a first batch ``x`` (n, d_in)."""
    weights = first_weights(settings, d_sae, x, generator)
    bias = weights.pop("b_enc")
    return {**weights, "b_gate": bias, "b_mag": bias.clone(), "r_mag": x.new_zeros(d_sae)}


def encode_sparse(
    weights: Weights, settings: Settings, x: Tensor, workspace: Workspace | None = None
) -> Codes | DenseCodes:
    """Return the active latents of ``x`` (n, d_in)."""
    inputs = encoder_inputs(weights, settings, x)
    gate = encoder_product(weights["W_enc"], weights["b_gate"], inputs)
    closed = gate <= 0
    return active(_magnitudes(weights, gate).masked_fill_(closed, 0), 0.0, workspace)


def step(
    weights: Weights, gradients: Weights, settings: Settings, batch: Batch, state: State
) -> Terms:
    """Write the gradients of the loss on a batch and return its terms."""
    n, work = len(batch), state.workspace
    inputs = encoder_inputs(weights, settings, batch.x, work)
    pre = encoder_product(weights["W_enc"], weights["b_gate"], inputs, work)
    gate = active(pre, 0.0, work)
    f, on = _codes(weights, gate)
    found = reconstruct(f, weights, batch.target)
    d_x_hat = found.error.mul_(2 / n)
    # the two ways back share scratch memory
    d_f = found.pullback(d_x_hat).mul(on)
    write_decoder_gradients(gradients, f, d_x_hat)
    l1 = settings.l1 * ramp(state.tokens, settings.l1_warmup_tokens, state.total)
    via_gate = reconstruct(gate, weights, batch.target)
    penalty = l1 * float(gate.values.sum()) / n + via_gate.total / n
    d_gate = gate.masked(via_gate.pullback(via_gate.error.mul_(2 / n)).add_(l1 / n))
    _write_encoder_gradients(weights, gradients, settings, f, d_f, d_gate, inputs)
    fired = f.by_latent.sum(on.to(d_f)) > 0
    return Terms(found.total / n + penalty, found.total, penalty, int(on.sum()), fired)


def _codes(weights: Weights, gate: Codes | DenseCodes) -> tuple[Codes | DenseCodes, Tensor]:
    """Return the codes at the entries of open gates, and which of them are above zero."""
    at = {name: gate.at_entries(weights[name]) for name in ("b_gate", "b_mag", "r_mag")}
    values = gate.masked(_magnitudes(at, gate.values))
    return gate.with_values(values), values > 0


def _magnitudes(weights: Weights, gate: Tensor) -> Tensor:
    """Return ReLU(z exp(r_mag) + b_mag) given z + b_gate; vectors fit the shape of ``gate``."""
    z = gate - weights["b_gate"]
    return z.mul_(weights["r_mag"].exp()).add_(weights["b_mag"]).clamp_(min=0)


def _write_encoder_gradients(
    weights: Weights,
    gradients: Weights,
    settings: Settings,
    f: Codes | DenseCodes,
    d_f: Tensor,
    d_gate: Tensor,
    inputs: Tensor,
) -> None:
    """Write what reaches W_enc, the biases and r_mag from the codes ``f`` and from the gates.

    ``d_f`` and ``d_gate`` have the shape of the codes' values; an inactive entry of the first and
    a closed gate of the second have zero.
    """
    by_latent = f.by_latent
    by_latent.sum(d_gate, out=gradients["b_gate"])
    by_latent.sum(d_f, out=gradients["b_mag"])
    # f - b_mag = z exp(r_mag) is also what r_mag multiplies
    scaled = f.values - f.at_entries(weights["b_mag"])
    by_latent.sum(scaled.mul_(d_f), out=gradients["r_mag"])
    d_z = d_f.mul_(f.at_entries(weights["r_mag"].exp())).add_(d_gate)
    by_latent.matmul(d_z, inputs, out=gradients["W_enc"].T)
    take_off_input_share(weights, gradients, settings, by_latent.sum(d_z))
