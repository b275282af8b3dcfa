"""ReLU codes whose penalty changes from L1 towards L0 in training, after Karvonen et al. 2024.

    f = ReLU((x - b_dec) W_enc + b_enc),  x_hat = f W_dec + b_dec
    loss = mean over the batch of |x_hat - x|^2 + c_p * sum_i f_i^p

("Measuring Progress in Dictionary Learning for Language Model Interpretability with Board Game
Models", arXiv 2408.00113.) p falls from 1 to ``p_end`` in ``n_updates`` equal steps, spread evenly
from ``anneal_start_tokens`` to ``anneal_end_tokens``. c starts as ``l1``; when p becomes q, so that
the penalty goes on where it was,

    c_q = c_p * sum f_i^p / sum f_i^q             summed over the last `RECENT` batches

Decoder rows have unit norm. What comes out is a ReLU SAE, and its file says so.

NOTE: the slope of f^p has no bound at zero. Below `FLOOR` the line through zero takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from saeflow.config.architectures import PAnneal as Settings
from saeflow.config.architectures import PAnnealRecipe as Recipe
from saeflow.sae.architectures.relu import encode_sparse
from saeflow.sae.schedule import ramp
from saeflow.sae.steps.backward import (
    active,
    encoder_inputs,
    encoder_product,
    reconstruct,
    write_decoder_gradients,
    write_encoder_gradients,
)
from saeflow.sae.steps.initial import first_weights
from saeflow.sae.steps.step import Batch, State, Terms, Weights

__all__ = ["Recipe", "Settings", "encode_sparse"]

BUFFERS = ("_coefficient", "_updates", "_recent")
VECTORS = ("b_enc",)
SAELENS = "standard"
SAELENS_NAMES = ()  # a "standard" file is read as what it is, a ReLU SAE

RECENT = 10
FLOOR = 1e-6


def exponent(settings: Settings, updates: int) -> float:
    """Return p after so many updates."""
    return 1 + (settings.p_end - 1) * updates / settings.n_updates


def due(settings: Settings, update: int, total: int) -> float:
    """Return after how many of the run's ``total`` tokens the update (1 the first) comes."""
    start, end = settings.anneal_start_tokens, settings.anneal_end_tokens
    start = total // 20 if start is None else start
    end = total if end is None else end
    return start + (update - 1) / settings.n_updates * max(0, end - start)


def initial(
    settings: Settings, d_sae: int, x: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return first weights, from a first batch ``x`` (n, d_in)."""
    return {
        **first_weights(settings, d_sae, x, generator),
        "_coefficient": x.new_full((1,), settings.l1),
        "_updates": x.new_zeros(1),
        "_recent": x.new_zeros(RECENT, 2),
    }


def step(
    weights: Weights, gradients: Weights, settings: Settings, batch: Batch, state: State
) -> Terms:
    """Write the gradients of the loss on a batch and return its terms."""
    n, work = len(batch), state.workspace
    p = _anneal(weights, settings, state)
    inputs = encoder_inputs(weights, settings, batch.x, work)
    f = active(encoder_product(weights["W_enc"], weights["b_enc"], inputs, work), 0.0, work)
    coefficient = float(weights["_coefficient"]) * ramp(
        state.tokens, settings.l1_warmup_tokens, state.total
    )
    term, slope = _power(f.values, p)
    penalty = coefficient * term / n
    _remember(weights, settings, f.values, term, n, state)
    found = reconstruct(f, weights, batch.target)
    d_x_hat = found.error.mul_(2 / n)
    d_f = f.masked(found.pullback(d_x_hat).add_(slope, alpha=coefficient / n))
    write_decoder_gradients(gradients, f, d_x_hat)
    write_encoder_gradients(weights, gradients, settings, f, d_f, inputs)
    loss = found.total / n + penalty
    return Terms(loss, found.total, penalty, f.n_active, f.by_latent.counts > 0)


def _power(f: Tensor, p: float) -> tuple[float, Tensor]:
    """Return the sum of f^p over codes f >= 0 of any shape, and its slope at each entry."""
    if p == 1:
        return float(f.sum()), f.new_ones(()).expand_as(f)
    slope = f.clamp(min=FLOOR).pow_(p - 1)
    term = float(slope.mul(f).sum())
    return term, slope.mul_(torch.where(f > FLOOR, p, 1.0))


def _anneal(weights: Weights, settings: Settings, state: State) -> float:
    """Return p of a step; where it falls, bring the coefficient to it."""
    updates, recent = weights["_updates"], weights["_recent"]
    done = int(updates)
    if done < settings.n_updates and state.tokens >= due(settings, done + 1, state.total):
        done += 1
        updates.fill_(done)
        now, then = recent.sum(0).tolist()
        if then > 0:
            weights["_coefficient"].mul_(now / then)
        recent.zero_()
    return exponent(settings, done)


def _remember(
    weights: Weights, settings: Settings, f: Tensor, term: float, n: int, state: State
) -> None:
    """Note sum f^p and sum f^q of a batch, q the next p, where that update is near."""
    done = int(weights["_updates"])
    if done == settings.n_updates:
        return
    if state.tokens + (RECENT + 1) * n <= due(settings, done + 1, state.total):
        return
    recent = weights["_recent"]
    recent[:-1] = recent[1:].clone()
    recent[-1, 0], recent[-1, 1] = term / n, _power(f, exponent(settings, done + 1))[0] / n


def last_loss(settings: Settings, weights: Weights) -> dict[str, float]:
    """Return the coefficient and p that the annealing has come to, for the header."""
    return {
        "coefficient": float(weights["_coefficient"]),
        "p": exponent(settings, int(weights["_updates"])),
    }


def held_loss(
    settings: Settings, last: Mapping[str, float], like: Tensor
) -> tuple[Settings, dict[str, Tensor]]:
    """Return settings and buffers of the loss that stays where `last_loss` found it."""
    buffers = {
        "_coefficient": like.new_full((1,), last["coefficient"]),
        "_updates": like.new_ones(1),
        "_recent": like.new_zeros(RECENT, 2),
    }
    return settings.model_copy(update={"p_end": last["p"], "n_updates": 1}), buffers
