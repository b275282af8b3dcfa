"""The loss of the top-k family, after Gao et al. 2024: normalised error plus AuxK.

    loss = sum |x_hat - x|^2 / sum |x - mean x|^2  +  aux_coef * AuxK
    AuxK = sum |e - e_hat|^2 / sum |e - mean e|^2
    e_hat = ReLU(TopK_aux(pre-activations of the dead latents)) W_dec

Sums run over the batch. By AuxK dead latents learn to reconstruct what the others leave:
e = x - x_hat is held constant and e_hat has no bias, so that the gradient reaches dead latents,
and b_dec only through their input.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from saeflow.config.architectures import Aux
from saeflow.errors import ConfigError
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.sparse.select import keep_top_k
from saeflow.sae.steps.backward import (
    reconstruct,
    write_decoder_gradients,
    write_encoder_gradients,
)
from saeflow.sae.steps.initial import first_weights
from saeflow.sae.steps.step import Batch, State, Terms, Weights, sum_of_squares, variance


def initial_top_k(
    settings: Aux,
    select: Callable[[Tensor], Codes],
    d_sae: int,
    x: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return first weights, from a first batch ``x`` (n, d_in) and the codes of pre-activations.

    The encoder is scaled so that the first reconstructions have the length that fits best: unit
    directions overlap, so that k of them overshoot, and the large first gradients slow Adam down
    for the rest of a short training. (OpenAI's code does likewise, by the mean length of
    reconstructed random unit vectors: `init_from_data_` in openai/sparse_autoencoder.)
    """

    def fitting(W_dec: Tensor, centred: Tensor) -> float:
        """Return the c with the least sum of |c x_hat - x|^2, x_hat of the codes of x W_dec^T."""
        x_hat = select(centred @ W_dec.T).decode(W_dec)
        size = sum_of_squares(x_hat)
        return float((x_hat * centred).sum()) / size if size > 0 else 1.0

    return first_weights(settings, d_sae, x, generator, scale=fitting)


def require_width(k: float, d_sae: int) -> None:
    """Raise a `ConfigError` where more latents shall be active than there are."""
    if k > d_sae:
        raise ConfigError("k is larger than the SAE", expected=f"at most {d_sae}", got=k)


def top_k_terms(
    weights: Weights,
    gradients: Weights,
    settings: Aux,
    batch: Batch,
    state: State,
    *,
    inputs: Tensor,
    pre: Tensor,
    f: Codes,
) -> Terms:
    """Write the gradients of the loss and return its terms.

    Beside what a step has: what the encoder read, ``inputs`` (n, d_in), its pre-activations ``pre``
    (n, d_sae) and the codes ``f`` that were selected of them.
    """
    found = reconstruct(f, weights, batch.target)
    scale = batch.variance or 1.0  # equal activations: nothing to explain, an unscaled error
    revive = bool(settings.aux_coef) and bool(state.dead.any())
    left = found.error.neg() if revive else None
    d_x_hat = found.error.mul_(2 / scale)
    d_f = found.pullback(d_x_hat)
    write_decoder_gradients(gradients, f, d_x_hat)
    write_encoder_gradients(weights, gradients, settings, f, d_f, inputs)
    penalty = 0.0
    if left is not None:
        penalty = add_aux(weights, gradients, settings, inputs, pre, left, state)
    loss = found.total / scale + penalty
    return Terms(loss, found.total, penalty, f.n_active, f.by_latent.counts > 0)


def add_aux(
    weights: Weights,
    gradients: Weights,
    settings: Aux,
    inputs: Tensor,
    pre: Tensor,
    error: Tensor,
    state: State,
) -> float:
    """Add the gradients of ``aux_coef`` * AuxK and return that term; some latent is dead.

    ``inputs`` and ``pre`` as of `top_k_terms`, ``error`` (n, d_out) is e. Dead latents are few, so
    their block is computed densely.
    """
    spread = variance(error)
    if spread == 0:
        return 0.0
    mm, latents = state.workspace.mm, state.dead.nonzero().squeeze(1)
    aux_k = settings.aux_k or max(1, inputs.shape[1] // 2)
    f = keep_top_k(pre.index_select(1, latents), aux_k)
    W_dec = weights["W_dec"].index_select(0, latents)
    difference = mm(f, W_dec).sub_(error)
    value = sum_of_squares(difference) / spread
    d_e_hat = difference.mul_(2 * settings.aux_coef / spread)
    d_pre = torch.ops.aten.threshold_backward(mm(d_e_hat, W_dec.T), f, 0)
    d_pre_sum = d_pre.sum(0)
    gradients["W_dec"].index_add_(0, latents, mm(f.T, d_e_hat))
    gradients["W_enc"].T.index_add_(0, latents, mm(d_pre.T, inputs))
    gradients["b_enc"].index_add_(0, latents, d_pre_sum)
    if settings.subtract_b_dec:  # b_dec moves the encoder's input the other way
        gradients["b_dec"].sub_(weights["W_enc"].T.index_select(0, latents).T @ d_pre_sum)
    return settings.aux_coef * value
