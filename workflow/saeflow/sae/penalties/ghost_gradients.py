"""Ghost gradients: dead latents learn what the others leave, after Anthropic, January 2024.

    e = target - x_hat, held constant
    y = exp(pre-activations of dead latents) W_dec,  without a bias
    s = |e| / (2 |y|) of each input, held constant: y gets half the norm of e
    term = coefficient * R * G / (G held constant),  G = sum |s y - e|^2

R is the value of the loss' reconstruction term, so that the ghosts weigh as much as it does.
"Circuits Updates - January 2024: Ghost Grads" (Jermyn, Templeton); the scales as in the code of
SAELens of that time. Dead are the latents that were silent for ``dead_tokens``.

NOTE: costs an encoder product more in steps in which latents are dead, to find x_hat again.
"""

from __future__ import annotations

import torch

from saeflow.errors import ConfigError
from saeflow.sae.model import SAE
from saeflow.sae.steps.step import Batch, State, Terms, Weights, sum_of_squares

_TINY = 1e-30


def add(
    coefficient: float,
    sae: SAE,
    gradients: Weights,
    batch: Batch,
    state: State,
    terms: Terms,
) -> float:
    """Add the gradients of the term on a batch and return its value."""
    if "b_enc" not in gradients:
        raise ConfigError(
            "ghost gradients need an encoder with one bias per latent",
            where="penalties > ghost_gradients",
            got=sae.architecture,
            remedy="Remove the penalty from this recipe.",
        )
    dead = state.dead.nonzero().squeeze(1)
    if not len(dead) or not coefficient:
        return 0.0
    x, W_dec = batch.x, sae.W_dec[dead]
    left = batch.target - sae.decode(sae.encode_sparse(x))
    inputs = x - sae.b_dec if sae.settings.subtract_b_dec else x
    pre = torch.addmm(sae.b_enc[dead], inputs, sae.W_enc[:, dead])
    # a factor per input cancels in s y: the exponential need not overflow
    ghosts = pre.sub_(pre.amax(1, keepdim=True)).exp_()
    y = ghosts @ W_dec
    norms = torch.linalg.vector_norm(left, dim=1), torch.linalg.vector_norm(y, dim=1)
    scale = (norms[0] / (2 * norms[1]).clamp_min(_TINY))[:, None]
    difference = (scale * y).sub_(left)
    error = sum_of_squares(difference)
    value = coefficient * (terms.loss - terms.penalty)
    if error == 0:
        return 0.0
    d_y = difference.mul_(scale).mul_(2 * value / error)
    d_pre = torch.mm(d_y, W_dec.T).mul_(ghosts)
    d_bias = d_pre.sum(0)
    gradients["W_dec"].index_add_(0, dead, ghosts.T @ d_y)
    gradients["W_enc"].T.index_add_(0, dead, d_pre.T @ inputs)
    gradients["b_enc"].index_add_(0, dead, d_bias)
    if sae.settings.subtract_b_dec:  # b_dec moves the encoder's input the other way
        gradients["b_dec"].sub_(sae.W_enc[:, dead] @ d_bias)
    return value
