"""Forward and backward arithmetic that every architecture's step is made of.

An architecture says which latents are active and what is minimised; here is the rest: the
encoder's product, the reconstruction, the gradients of encoder and decoder, each for the active
latents alone or, where many are active, by dense products. `active` chooses between the two. A
step reads

    inputs = encoder_inputs(weights, settings, batch.x, work)
    pre = encoder_product(weights["W_enc"], weights["b_enc"], inputs, work)
    f = active(pre, 0.0, work)                              # or top_k(pre, k)
    found = reconstruct(f, weights, batch.target)
    d_x_hat = found.error.mul_(...)                         # d loss / d x_hat
    d_f = f.masked(found.pullback(d_x_hat).add_(...))       # d loss / d f
    write_decoder_gradients(gradients, f, d_x_hat)
    write_encoder_gradients(weights, gradients, settings, f, d_f, inputs)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from saeflow.sae.sparse.codes import Codes, extract
from saeflow.sae.sparse.dense import DenseCodes
from saeflow.sae.steps.step import Weights, Workspace, sum_of_squares

# Share of active entries below which sparse arithmetic is faster than dense products; measured
# between d_in 64, d_sae 256 (where both cost alike) and d_in 768, d_sae 12288. The path depends on
# this batch alone, so a resumed run takes the same one.
SPARSE_BELOW = 0.12


class Reconstruction(NamedTuple):
    """A reconstruction's error x_hat - target (n, d_out), its sum of squares, and the way back.

    ``pullback`` turns d loss / d x_hat (n, d_out) into d loss / d f, of the shape of the codes'
    values and defined on active entries alone (see ``masked``). Error and gradients may be
    overwritten.
    """

    error: Tensor
    total: float
    pullback: Callable[[Tensor], Tensor]


def encoder_inputs(
    weights: Weights, settings: Any, x: Tensor, workspace: Workspace | None = None
) -> Tensor:
    """Return what the encoder reads (n, d_in): ``x``, or x - b_dec with ``subtract_b_dec``.

    The difference is written to scratch memory if a ``workspace`` is given.
    """
    if not settings.subtract_b_dec:
        return x
    out = None if workspace is None else workspace.buffer("inputs", tuple(x.shape), x)
    return torch.sub(x, weights["b_dec"], out=out)


def encoder_product(
    W_enc: Tensor, bias: Tensor | None, inputs: Tensor, workspace: Workspace | None = None
) -> Tensor:
    """Return ``inputs @ W_enc + bias`` (n, d_sae), in scratch memory if there is a workspace.

    The workspace also says in which precision the factors are; without one, in their own. The
    result is float32 at least: thresholds and selections are not left to 16 bits.
    """
    if inputs.dtype in (torch.bfloat16, torch.float16):
        product = (inputs @ W_enc).float()
        return product if bias is None else product.add_(bias)
    shape = (len(inputs), W_enc.shape[1])
    out = None if workspace is None else workspace.buffer("pre", shape, inputs)
    if workspace is not None and workspace.matmul_dtype != "float32":
        product = workspace.mm(inputs, W_enc, out)
        return product if bias is None else product.add_(bias)
    if bias is None:
        return torch.mm(inputs, W_enc, out=out)
    return torch.addmm(bias, inputs, W_enc, out=out)


def pre_activations(
    weights: Weights, settings: Any, x: Tensor, workspace: Workspace | None = None
) -> Tensor:
    """Return the encoder's product for ``x`` (n, d_in), bias included: (n, d_sae)."""
    inputs = encoder_inputs(weights, settings, x, workspace)
    return encoder_product(weights["W_enc"], weights["b_enc"], inputs, workspace)


def active(
    pre: Tensor, threshold: Tensor | float, workspace: Workspace | None
) -> Codes | DenseCodes:
    """Return the entries of ``pre`` (n, d_sae) above a threshold of at least zero, as codes.

    The threshold is a number, or one per latent: (d_sae,). Codes are sparse where the share of
    active entries is below `SPARSE_BELOW`, or without a workspace; else ``pre`` is overwritten.
    Both kinds have the methods that the functions of this module use.
    """
    if workspace is None:
        return extract(pre, threshold)
    codes = extract(pre, threshold, at_most=SPARSE_BELOW)
    return DenseCodes.above(pre, threshold, workspace) if codes is None else codes


def reconstruct(f: Codes | DenseCodes, weights: Weights, target: Tensor) -> Reconstruction:
    """Decode ``f`` and compare with ``target`` (n, d_out)."""
    x_hat, pullback = f.decode_with_pullback(weights["W_dec"])
    error = x_hat.add_(weights["b_dec"]).sub_(target)
    return Reconstruction(error, sum_of_squares(error), pullback)


def write_decoder_gradients(gradients: Weights, f: Codes | DenseCodes, d_x_hat: Tensor) -> None:
    """Write the gradients of "W_dec" and "b_dec", given d loss / d x_hat (n, d_out)."""
    f.by_latent.matmul(f.values, d_x_hat, out=gradients["W_dec"])
    torch.sum(d_x_hat, 0, out=gradients["b_dec"])


def write_encoder_gradients(
    weights: Weights,
    gradients: Weights,
    settings: Any,
    f: Codes | DenseCodes,
    d_pre: Tensor,
    inputs: Tensor,
) -> None:
    """Write the gradients of "W_enc" and "b_enc"; add b_dec's share where it is subtracted.

    ``d_pre``, d loss / d pre-activation, has the shape of ``f.values`` and is zero where ``f`` is
    not active; ``inputs`` (n, d_in) is what the encoder read. The gradient of "b_dec" is written
    already.
    """
    f.by_latent.matmul(d_pre, inputs, out=gradients["W_enc"].T)
    f.by_latent.sum(d_pre, out=gradients["b_enc"])
    take_off_input_share(weights, gradients, settings, gradients["b_enc"])


def take_off_input_share(
    weights: Weights, gradients: Weights, settings: Any, d_pre_sum: Tensor
) -> None:
    """Take b_dec's effect on the encoder's input into its gradient, with ``subtract_b_dec``.

    ``d_pre_sum`` (d_sae,) is d loss / d (inputs @ W_enc), summed over the batch. b_dec moves the
    input the other way.
    """
    if settings.subtract_b_dec:
        gradients["b_dec"].sub_(weights["W_enc"] @ d_pre_sum)
