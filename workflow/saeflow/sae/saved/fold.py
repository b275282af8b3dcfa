"""Exact changes of weights that leave what an SAE computes as it is, or move it by a known map.

Weights are those of SAELens' files, by its names: "W_enc" (d_in, d_sae), "W_dec" (d_sae, d_out),
"b_dec" (d_out,) and, by architecture, "b_enc", "threshold", "b_gate", "b_mag", "r_mag" (d_sae,).
Products are formed in float64 and rounded once. Read `input_bias` first.

With pre-activations (x - s b_dec) W_enc + b_enc, s = 1 where b_dec is subtracted and else 0, and
x_hat = f W_dec + b_dec, a gated SAE has b_gate in place of b_enc and a second path with
exp(r_mag) and b_mag.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Weights = dict[str, Tensor]

_IN_LATENT_UNITS = ("b_enc", "threshold", "b_gate", "b_mag")


def input_bias(weights: Mapping[str, Tensor], *, subtracted: bool, wanted: bool) -> Weights:
    """Return weights of the same SAE that, as ``wanted``, take b_dec off their input or do not."""
    if subtracted == wanted:
        return dict(weights)
    product = weights["b_dec"].double() @ weights["W_enc"].double()
    return _shifted(weights, product if wanted else -product)


def scale(weights: Mapping[str, Tensor], factor: float | Tensor) -> Weights:
    """Return weights that take x where the given ones take ``factor`` x; latents are the same.

    The factor is a number, or one for each column of x, (d_in,).
    """
    return {
        **weights,
        "W_enc": (weights["W_enc"].T * factor).T,
        "W_dec": weights["W_dec"] / factor,
        "b_dec": weights["b_dec"] / factor,
    }


def decoder_norms(weights: Mapping[str, Tensor]) -> Weights:
    """Return weights with unit decoder rows; latents are multiplied by the norms.

    Right for thresholds and gates. A top-k selects other latents afterwards, unless it selected
    by latent times norm before.
    """
    norm = weights["W_dec"].double().norm(dim=1)
    norm = torch.where(norm > 0, norm, torch.ones_like(norm))
    result = {
        **weights,
        "W_enc": (weights["W_enc"].double() * norm).to(weights["W_enc"]),
        "W_dec": (weights["W_dec"].double() / norm[:, None]).to(weights["W_dec"]),
    }
    for name in _IN_LATENT_UNITS:
        if name in weights:
            result[name] = (weights[name].double() * norm).to(weights[name])
    return result


def affine(
    weights: Mapping[str, Tensor],
    shift: Tensor,
    matrix: Tensor,
    inverse: Tensor,
    *,
    subtracted: bool,
) -> Weights:
    """Return weights that take x where the given ones take (x - shift) matrix.

    ``inverse`` undoes the map, (d_in, d_in): x_hat becomes x_hat inverse + shift. ``subtracted``:
    whether b_dec is subtracted from the input, before and after.
    """
    shift, matrix, inverse = shift.double(), matrix.double(), inverse.double()
    W_enc = matrix @ weights["W_enc"].double()
    b_dec = weights["b_dec"].double() @ inverse + shift
    result = {
        **weights,
        "W_enc": W_enc.to(weights["W_enc"]),
        "W_dec": (weights["W_dec"].double() @ inverse).to(weights["W_dec"]),
        "b_dec": b_dec.to(weights["b_dec"]),
    }
    # the new b_dec, where it is subtracted, takes the shift off by itself
    return result if subtracted else _shifted(result, -(shift @ W_enc))


def _shifted(weights: Mapping[str, Tensor], shift: Tensor) -> Weights:
    """Return weights whose pre-activations are larger by ``shift`` (d_sae,) float64."""
    result = dict(weights)
    for name in ("b_enc", "b_gate"):
        if name in weights:
            result[name] = (weights[name].double() + shift).to(weights[name])
    if "b_mag" in weights:
        magnitude = shift * weights["r_mag"].double().exp()
        result["b_mag"] = (weights["b_mag"].double() + magnitude).to(weights["b_mag"])
    return result
