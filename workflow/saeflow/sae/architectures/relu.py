"""ReLU codes with an L1 penalty, as in the feature suppression post.

    f = ReLU(x W_enc + b_enc),  x_hat = f W_dec + b_dec
    loss = mean over the batch of  |x_hat - x|^2 / d_in + l1 * sum_i f_i

The decoder's bias is not subtracted before encoding, encoder and decoder are untied, decoder rows
have unit norm. ``subtract_b_dec`` gives the form of Towards Monosemanticity, f of x - b_dec. The
post does not say how its weights start; see `initial`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saeflow.sae.codes import Codes, above, count, extract
from saeflow.sae.initial import center, directions, transposed
from saeflow.sae.settings import not_negative, one_of
from saeflow.sae.step import Batch, State, Terms, Workspace, centred, sum_of_squares

UNIT_NORM_DECODER = True
SAELENS = "standard"

# Share of active entries below which sparse arithmetic is faster than dense products; measured
# between d_in 128, d_sae 512 and d_in 512, d_sae 4096. The path depends on this batch alone, so
# a resumed run takes the same one.
SPARSE_BELOW = 0.08


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the ReLU architecture.

    Attributes
    ----------
    l1 : float
        Coefficient of the sum of the code, against the error's mean over d_in.
    l1_warmup_tokens : int
        Tokens over which the coefficient rises linearly from zero.
    subtract_b_dec : bool
        Encode x - b_dec instead of x.
    center : str
        Where b_dec starts: "zero", "mean" or "median" of a first batch.
    """

    l1: float
    l1_warmup_tokens: int = 0
    subtract_b_dec: bool = False
    center: str = "mean"

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        not_negative("l1", self.l1)
        not_negative("l1_warmup_tokens", self.l1_warmup_tokens)
        one_of("center", self.center, ("zero", "mean", "median"))


def initial(
    settings: Settings, d_sae: int, x: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return first weights, from a first batch ``x`` (n, d_in).

    Random unit decoder rows; the encoder is their transpose, scaled so that x_hat - b_dec is
    about x - b_dec in size; the encoder's bias takes b_dec off where encoding does not.
    """
    d_in = x.shape[1]
    W_dec = directions(d_sae, d_in, generator=generator, like=x)
    b_dec = center(settings.center, x)
    # half the latents are active: the sum of their contributions is d_sae / (2 d_in) of x
    W_enc = transposed(W_dec * min(1.0, 2 * d_in / d_sae))
    b_enc = x.new_zeros(d_sae) if settings.subtract_b_dec else -(b_dec @ W_enc)
    return {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec}


def encode(weights: Mapping[str, Tensor], settings: Settings, x: Tensor) -> Tensor:
    """Return the dense latents of ``x`` (n, d_in), (n, d_sae)."""
    return _pre(weights, settings, x).clamp_(min=0)


def encode_sparse(weights: Mapping[str, Tensor], settings: Settings, x: Tensor) -> Codes:
    """Return the active latents of ``x`` (n, d_in)."""
    return extract(_pre(weights, settings, x), 0.0)


def step(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    settings: Settings,
    batch: Batch,
    state: State,
) -> Terms:
    """Write the gradients of the loss on a batch and return its terms."""
    x, work = batch.x, state.workspace
    inputs = centred(x, weights["b_dec"], work) if settings.subtract_b_dec else x
    shape = (len(x), weights["W_dec"].shape[0])
    pre = work.buffer("pre", shape, x)
    torch.addmm(weights["b_enc"], inputs, weights["W_enc"], out=pre)
    mask = above(pre, 0.0, out=work.buffer("mask", shape, x, torch.bool))
    n_active = count(mask)
    l1 = settings.l1
    if state.tokens < settings.l1_warmup_tokens:
        l1 *= state.tokens / settings.l1_warmup_tokens
    if n_active < SPARSE_BELOW * pre.numel():
        codes = extract(pre, 0.0, mask)
        code_sum, error, fired = _sparse(weights, gradients, x, inputs, codes, l1)
    else:
        code_sum, error, fired = _dense(weights, gradients, x, inputs, pre, l1, work)
    if settings.subtract_b_dec:  # b_dec moves the encoder's input the other way
        gradients["b_dec"].sub_(weights["W_enc"] @ gradients["b_enc"])
    penalty = l1 * code_sum / len(x)
    return Terms(error / x.numel() + penalty, error, penalty, n_active, fired)


def _pre(weights: Mapping[str, Tensor], settings: Settings, x: Tensor) -> Tensor:
    """Return the pre-activations (n, d_sae)."""
    inputs = x - weights["b_dec"] if settings.subtract_b_dec else x
    return torch.addmm(weights["b_enc"], inputs, weights["W_enc"])


def _sparse(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    x: Tensor,
    inputs: Tensor,
    codes: Codes,
    l1: float,
) -> tuple[float, float, Tensor]:
    """Backward on active entries alone; return (sum of f, sum of squared error, fired)."""
    x_hat, pullback = codes.decode_with_pullback(weights["W_dec"])
    error = x_hat.add_(weights["b_dec"]).sub_(x)
    total = sum_of_squares(error)
    d_x_hat = error.mul_(2 / x.numel())
    d_pre = pullback(d_x_hat) + l1 / len(x)
    by_latent = codes.by_latent
    gradients["W_dec"].copy_(by_latent.matmul(codes.values, d_x_hat))
    gradients["W_enc"].T.copy_(by_latent.matmul(d_pre, inputs))
    gradients["b_enc"].copy_(by_latent.sum(d_pre))
    torch.sum(d_x_hat, 0, out=gradients["b_dec"])
    return float(codes.values.sum()), total, by_latent.counts > 0


def _dense(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    x: Tensor,
    inputs: Tensor,
    pre: Tensor,
    l1: float,
    work: Workspace,
) -> tuple[float, float, Tensor]:
    """Backward by dense products; ``pre`` (n, d_sae) is overwritten."""
    f = pre.clamp_(min=0)
    error = torch.addmm(weights["b_dec"], f, weights["W_dec"]).sub_(x)
    total, code_sum = sum_of_squares(error), float(f.sum())
    d_x_hat = error.mul_(2 / x.numel())
    torch.mm(f.T, d_x_hat, out=gradients["W_dec"])
    d_pre = torch.mm(d_x_hat, weights["W_dec"].T, out=work.buffer("d_pre", f.shape, f))
    active = f.sign_()
    d_pre.add_(l1 / len(x)).mul_(active)
    torch.mm(d_pre.T, inputs, out=gradients["W_enc"].T)
    torch.sum(d_pre, 0, out=gradients["b_enc"])
    torch.sum(d_x_hat, 0, out=gradients["b_dec"])
    return code_sum, total, active.amax(0) > 0


def to_saelens(settings: Settings) -> dict[str, Any]:
    """Return the keys of SAELens' cfg.json that describe the rule."""
    return {"apply_b_dec_to_input": settings.subtract_b_dec}


def from_saelens(config: Mapping[str, Any], weights: dict[str, Tensor]) -> tuple:
    """Return the (settings, weights) of a SAELens "standard" SAE; its l1 is not known."""
    settings = Settings(l1=0.0, subtract_b_dec=config.get("apply_b_dec_to_input", True))
    return settings, weights
