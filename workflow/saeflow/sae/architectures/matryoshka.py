"""Matryoshka codes: nested prefixes of the latents each reconstruct, after Bussmann et al. 2025.

    x_hat_m = sum over the latents i of the first m groups of f_i W_dec_i, plus b_dec
    loss = sum over m of weight_m * sum |x_hat_m - x|^2 / sum |x - mean x|^2  +  aux_coef * AuxK

("Learning Multi-Level Features with Matryoshka Sparse Autoencoders", arXiv 2503.17547.) The codes
are BatchTopK's, over all groups at once, in training and outside of it (`sae.steps.batchwise`).
AuxK is that of the whole SAE, see `saeflow.sae.steps.auxk`, as is the rest of the recipe.

A latent of group g takes part in the reconstructions from g on, so it sees the sum of their
gradients: each latent is decoded once, whatever the number of groups.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from saeflow.config.architectures import Matryoshka as Settings
from saeflow.config.architectures import MatryoshkaRecipe as Recipe
from saeflow.errors import ConfigError
from saeflow.sae.steps import batchwise
from saeflow.sae.steps.auxk import add_aux
from saeflow.sae.steps.backward import encoder_inputs, encoder_product, write_encoder_gradients
from saeflow.sae.steps.batchwise import encode_sparse
from saeflow.sae.steps.step import Batch, State, Terms, Weights

__all__ = ["Recipe", "Settings", "encode_sparse", "initial", "step"]

BUFFERS = ("threshold",)
VECTORS = ("b_enc", "threshold")
SAELENS = "jumprelu"
SAELENS_NAMES = ()


def prefix_weights(settings: Settings) -> Sequence[float]:
    """Return the weight of each prefix' error in the loss."""
    given = settings.group_weights
    return (1.0,) * len(settings.group_fractions) if given is None else given


def ends(settings: Settings, d_sae: int) -> list[int]:
    """Return the first latent after each group of an SAE with ``d_sae`` latents."""
    shares = settings.group_fractions
    found = [round(sum(shares[: g + 1]) * d_sae) for g in range(len(shares))]
    if any(end <= start for start, end in zip([0, *found], found, strict=False)):
        raise ConfigError(
            "a group has no latent",
            expected=f"group_fractions of at least 1 / {d_sae}",
            got=list(shares),
        )
    return found


def initial(
    settings: Settings, d_sae: int, x: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return first weights, from a first batch ``x`` (n, d_in), as `batchwise.initial`."""
    ends(settings, d_sae)
    return batchwise.initial(settings, d_sae, x, generator)


def step(
    weights: Weights, gradients: Weights, settings: Settings, batch: Batch, state: State
) -> Terms:
    """Write the gradients of the loss on a batch and return its terms."""
    inputs = encoder_inputs(weights, settings, batch.x, state.workspace)
    pre = encoder_product(weights["W_enc"], weights["b_enc"], inputs, state.workspace)
    f = batchwise.select(pre, weights, settings, tokens=state.tokens)
    nested = f.split(ends(settings, f.d_sae))
    parts, pullback = nested.decode_with_pullback(weights["W_dec"])
    errors = parts.view(len(batch), -1, parts.shape[1])
    totals = _accumulate(errors, weights["b_dec"], batch.target)
    scale = batch.variance or 1.0  # equal activations: nothing to explain, an unscaled error
    left = errors[:, -1].neg() if settings.aux_coef and bool(state.dead.any()) else None
    weighing = prefix_weights(settings)
    _sum_gradients(errors, [2 * weight / scale for weight in weighing])
    d_f = pullback(parts)
    nested.by_latent.matmul(f.values, parts, out=gradients["W_dec"])
    torch.sum(errors[:, 0], 0, out=gradients["b_dec"])
    write_encoder_gradients(weights, gradients, settings, f, d_f, inputs)
    weighted = sum(w * total for w, total in zip(weighing, totals, strict=True)) / scale
    if left is not None:
        weighted += add_aux(weights, gradients, settings, inputs, pre, left, state)
    penalty = weighted - weighing[-1] * totals[-1] / scale
    return Terms(weighted, totals[-1], penalty, f.n_active, f.by_latent.counts > 0)


def _accumulate(parts: Tensor, b_dec: Tensor, target: Tensor) -> list[float]:
    """Turn each group's part of x_hat (n, groups, d) into its prefix' error, in place.

    Returns the sum of squares of each prefix' error.
    """
    totals = []
    before = b_dec - target
    for group in range(parts.shape[1]):
        error = parts[:, group].add_(before)
        totals.append(float(torch.linalg.vector_norm(error).double().square()))
        before = error
    return totals


def _sum_gradients(errors: Tensor, factors: Sequence[float]) -> None:
    """Turn the prefixes' errors (n, groups, d), in place, into d loss / d part of each group."""
    later = None
    for group in reversed(range(errors.shape[1])):
        gradient = errors[:, group].mul_(factors[group])
        if later is not None:
            gradient.add_(later)
        later = gradient
