"""TopK codes: the k largest pre-activations of each input, after Gao et al. 2024 (OpenAI).

    f = ReLU(TopK((x - b_dec) W_enc + b_enc)),  x_hat = f W_dec + b_dec
    loss = sum |x_hat - x|^2 / sum |x - mean x|^2  +  aux_coef * AuxK

Sums run over the batch. AuxK lets the aux_k strongest dead latents reconstruct what the others
leave: sum |e - e_hat|^2 / sum |e - mean e|^2 with e = x - x_hat held constant and
e_hat = ReLU(TopK_aux(pre-activations of dead latents)) W_dec, without a bias. Its gradient reaches
dead latents, and b_dec only through their input. Decoder rows have unit norm, the encoder starts
as their transpose, b_dec as the geometric median of a first batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saeflow.errors import ConfigError
from saeflow.sae.codes import Codes
from saeflow.sae.initial import center, directions, transposed
from saeflow.sae.select import top_k
from saeflow.sae.settings import not_negative, one_of, positive
from saeflow.sae.step import Batch, State, Terms, centred, sum_of_squares

UNIT_NORM_DECODER = True
SAELENS = "topk"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the TopK architecture.

    Attributes
    ----------
    k : int
        Latents active per input, at most.
    aux_coef : float
        Coefficient of AuxK; 0 leaves it out.
    aux_k : int | None
        Dead latents that reconstruct the error; None for half of d_in.
    subtract_b_dec : bool
        Encode x - b_dec, the published form; False encodes x.
    center : str
        Where b_dec starts: "zero", "mean" or "median" of a first batch.
    """

    k: int
    aux_coef: float = 1 / 32
    aux_k: int | None = None
    subtract_b_dec: bool = True
    center: str = "median"

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if not isinstance(self.k, int) or isinstance(self.k, bool) or self.k < 1:
            raise ConfigError("k must be a whole number of at least 1", got=repr(self.k))
        if self.aux_k is not None:
            positive("aux_k", self.aux_k)
        not_negative("aux_coef", self.aux_coef)
        one_of("center", self.center, ("zero", "mean", "median"))


def initial(
    settings: Settings, d_sae: int, x: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return first weights, from a first batch ``x`` (n, d_in)."""
    if settings.k > d_sae:
        raise ConfigError("k is larger than the SAE", expected=f"at most {d_sae}", got=settings.k)
    W_dec = directions(d_sae, x.shape[1], generator=generator, like=x)
    b_dec = center(settings.center, x)
    W_enc = transposed(W_dec)
    b_enc = x.new_zeros(d_sae) if settings.subtract_b_dec else -(b_dec @ W_enc)
    return {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec}


def encode(weights: Mapping[str, Tensor], settings: Settings, x: Tensor) -> Tensor:
    """Return the dense latents of ``x`` (n, d_in), (n, d_sae)."""
    return encode_sparse(weights, settings, x).dense()


def encode_sparse(weights: Mapping[str, Tensor], settings: Settings, x: Tensor) -> Codes:
    """Return the active latents of ``x`` (n, d_in)."""
    inputs = x - weights["b_dec"] if settings.subtract_b_dec else x
    return top_k(torch.addmm(weights["b_enc"], inputs, weights["W_enc"]), settings.k)


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
    pre = work.buffer("pre", (len(x), len(weights["b_enc"])), x)
    torch.addmm(weights["b_enc"], inputs, weights["W_enc"], out=pre)
    codes = top_k(pre, settings.k)
    x_hat, pullback = codes.decode_with_pullback(weights["W_dec"])
    error = x_hat.add_(weights["b_dec"]).sub_(x)
    total = sum_of_squares(error)
    scale = batch.variance or 1.0  # equal activations: nothing to explain, an unscaled error
    d_x_hat = error * (2 / scale)
    d_values = pullback(d_x_hat)
    by_latent = codes.by_latent
    gradients["W_dec"].copy_(by_latent.matmul(codes.values, d_x_hat))
    gradients["W_enc"].T.copy_(by_latent.matmul(d_values, inputs))
    gradients["b_enc"].copy_(by_latent.sum(d_values))
    torch.sum(d_x_hat, 0, out=gradients["b_dec"])
    penalty = 0.0
    if settings.aux_coef and bool(state.dead.any()):
        penalty = _aux(weights, gradients, settings, inputs, pre, error.neg_(), state.dead)
    if settings.subtract_b_dec:  # b_dec moves the encoder's input the other way
        gradients["b_dec"].sub_(weights["W_enc"] @ gradients["b_enc"])
    loss = total / scale + penalty
    return Terms(loss, total, penalty, len(codes.values), by_latent.counts > 0)


def _aux(
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    settings: Settings,
    inputs: Tensor,
    pre: Tensor,
    error: Tensor,
    dead: Tensor,
) -> float:
    """Add the gradients of AuxK and return its term; ``error`` (n, d_in) is x - x_hat.

    Dead latents are few, so their block is computed densely.
    """
    latents = dead.nonzero().squeeze(1)
    aux_k = settings.aux_k or max(1, inputs.shape[1] // 2)
    dead_pre = pre[:, latents]
    if len(latents) > aux_k:
        f = top_k(dead_pre, aux_k).dense()
    else:
        f = dead_pre.clamp_(min=0)
    W_dec = weights["W_dec"][latents]
    variance = float((error - error.mean(0)).square().sum())
    if variance == 0:
        return 0.0
    difference = torch.mm(f, W_dec).sub_(error)
    value = sum_of_squares(difference) / variance
    d_e_hat = difference.mul_(2 * settings.aux_coef / variance)
    d_pre = torch.mm(d_e_hat, W_dec.T).mul_(f.sign())
    gradients["W_dec"].index_add_(0, latents, f.T @ d_e_hat)
    gradients["W_enc"].T.index_add_(0, latents, d_pre.T @ inputs)
    gradients["b_enc"].index_add_(0, latents, d_pre.sum(0))
    return settings.aux_coef * value


def to_saelens(settings: Settings) -> dict[str, Any]:
    """Return the keys of SAELens' cfg.json that describe the rule."""
    return {
        "k": settings.k,
        "rescale_acts_by_decoder_norm": False,
        "apply_b_dec_to_input": settings.subtract_b_dec,
    }


def from_saelens(config: Mapping[str, Any], weights: dict[str, Tensor]) -> tuple:
    """Return the (settings, weights) of a SAELens "topk" SAE.

    One that selects by pre-activation times decoder norm is brought to unit-norm rows, where
    both rules are one.
    """
    if "k" not in config:
        raise ConfigError("a TopK SAE says its k", where="cfg.json > k", got="no k")
    settings = Settings(k=int(config["k"]), subtract_b_dec=config.get("apply_b_dec_to_input", True))
    if config.get("rescale_acts_by_decoder_norm", False):
        norm = weights["W_dec"].norm(dim=1)
        weights = {
            **weights,
            "W_enc": weights["W_enc"] * norm,
            "b_enc": weights["b_enc"] * norm,
            "W_dec": weights["W_dec"] / norm[:, None],
        }
    return settings, weights
