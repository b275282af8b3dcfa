"""Resampling of dead latents, after "Towards Monosemanticity" (Bricken et al. 2023).

After every ``resample_tokens``, each latent that was silent for ``dead_tokens`` gets

    a decoder row  along target - b_dec of an input that is chosen with probability ~ error^4,
                   error = |x_hat - target| (the square of the input's loss, the squared error)
    an encoder row along the same input, with 0.2 of the mean norm of the living encoder rows
    biases of 0 for the input less b_dec, and Adam's running means of 0
    a threshold, where thresholds are trained, of 0.2 of the mean of the living ones

The inputs are ``resample_inputs`` random training rows, drawn anew each time from the SAE's seed
and the tokens so far, so a resumed training draws the same. Inputs are chosen without repetition
where there are enough. Decoder rows get the mean norm of the living rows (1 where it is 1).

NOTE: the paper has no thresholds. One that stayed where its latent died would silence it again.

NOTE: where the encoder does not subtract b_dec, its bias does, as in the first weights.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from saeflow.sae.model import SAE
from saeflow.sae.steps.step import Batch

ENCODER_SHARE = 0.2
_TINY = 1e-12

CHANGED = ("W_enc", "W_dec", "b_enc", "b_gate", "b_mag", "r_mag")
"""Weights of a latent that are set, where the architecture has them; their means start anew."""


def resample(sae: SAE, dead: Tensor, inputs: Batch, seed: tuple[int, ...]) -> Tensor:
    """Give dead latents, ``dead`` (d_sae,) bool, new weights, in place.

    ``inputs`` are rows to choose from, as the SAE reads them in training, ``seed`` is of the
    choice. Returned are the latents that were changed, (n,) int64; none where every input is
    reconstructed.
    """
    latents, alive = dead.nonzero().squeeze(1), ~dead
    loss = (sae.decode(sae.encode_sparse(inputs.x)) - inputs.target).double().square().sum(1)
    chosen = _choose(loss, len(latents), seed).to(latents.device)
    latents = latents[: len(chosen)]
    if not len(latents):
        return latents
    weights, encoder = sae.weights, sae.W_enc.T
    sizes = (encoder[alive].norm(dim=1), sae.W_dec[alive].norm(dim=1))
    # with no living latent there is no norm to take a share of
    in_size, out_size = (float(s.mean()) if len(s) else 1.0 for s in sizes)
    out = _unit(inputs.target[chosen] - sae.b_dec)
    if inputs.target is inputs.x:
        along, origin = out, sae.b_dec
    else:
        origin = inputs.x.mean(0)
        along = _unit(inputs.x[chosen] - origin)
    rows = along * (ENCODER_SHARE * in_size)
    encoder[latents] = rows
    weights["W_dec"][latents] = out * out_size
    bias = rows.new_zeros(len(rows)) if sae.settings.subtract_b_dec else -(rows @ origin)
    for name in ("b_enc", "b_gate", "b_mag"):
        if name in weights:
            weights[name][latents] = bias
    if "r_mag" in weights:
        weights["r_mag"][latents] = 0.0
    if "threshold" in weights and "threshold" not in sae.rule.BUFFERS:
        # as much lower than that of the others as the encoder row is shorter
        living = weights["threshold"][alive].clamp(min=0)
        weights["threshold"][latents] = ENCODER_SHARE * float(living.mean()) if len(living) else 0.0
    return latents


def _choose(loss: Tensor, n: int, seed: tuple[int, ...]) -> Tensor:
    """Return n numbers of inputs with probability ~ loss^2, different ones if there are enough."""
    chance = loss.square().cpu().numpy()
    if not chance.sum() > 0:
        return torch.zeros(0, dtype=torch.int64)
    rng = np.random.default_rng(seed)
    repeat = n > np.count_nonzero(chance)
    chosen = rng.choice(len(chance), size=n, replace=repeat, p=chance / chance.sum())
    return torch.from_numpy(chosen)


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(_TINY)
