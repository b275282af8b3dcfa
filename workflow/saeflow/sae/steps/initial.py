"""First weights of an SAE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saeflow.files import canonical_json, sha256_text

_MEDIAN_STEPS = 50


def generator_of(seed: int, *names: str | int) -> torch.Generator:
    """Return what first weights are drawn with, of a seed and what else tells starts apart.

    With one start for all, SAEs of two hooks or widths would be alike by that alone, the more the
    less they are trained.
    """
    number = int(sha256_text(canonical_json([seed, *names]))[:15], 16)
    return torch.Generator().manual_seed(number)


def directions(d_sae: int, d_in: int, *, generator: torch.Generator, like: Tensor) -> Tensor:
    """Return ``d_sae`` random unit rows, (d_sae, d_in), in the precision of ``like``.

    They are drawn in float32 on the CPU, so that a seed means the same everywhere.
    """
    rows = torch.randn(d_sae, d_in, generator=generator)
    return (rows / rows.norm(dim=1, keepdim=True)).to(like)


def center(kind: str, x: Tensor) -> Tensor:
    """Return where the decoder's bias starts, (d_in,), from a first batch ``x`` (n, d_in).

    ``kind`` is "zero", "mean" or "median". The last is the geometric median, the point with the
    least mean distance, by Weiszfeld's iteration: a few activations of huge norm do not move it
    (OpenAI's TopK recipe).
    """
    if kind == "zero":
        return x.new_zeros(x.shape[1])
    point = x.mean(0)
    if kind == "median":
        for _ in range(_MEDIAN_STEPS):
            weight = 1 / (x - point).norm(dim=1).clamp_min(1e-6)
            point = weight @ x / weight.sum()
    return point


def transposed(W: Tensor) -> Tensor:
    """Return the transpose of ``W`` as a view of memory of its own.

    An encoder kept so has one contiguous row per latent, as its gradient comes out of the
    sparse product.
    """
    return W.clone(memory_format=torch.contiguous_format).T


def first_weights(
    settings: Any,
    d_sae: int,
    x: Tensor,
    generator: torch.Generator,
    *,
    norm: float = 1.0,
    scale: Callable[[Tensor, Tensor], float] = lambda W_dec, centred: 1.0,  # noqa: ARG005
) -> dict[str, Tensor]:
    """Return first W_enc, b_enc, W_dec, b_dec, from a first batch ``x`` (n, d_in).

    Random decoder rows of one norm and the encoder as their transpose, times ``scale`` of W_dec
    and of x - b_dec; b_dec as `center` makes it. The encoder's bias takes b_dec off where encoding
    does not.
    """
    W_dec = directions(d_sae, x.shape[1], generator=generator, like=x) * norm
    b_dec = center(settings.center, x)
    W_enc = transposed(W_dec * scale(W_dec, x - b_dec))
    b_enc = x.new_zeros(d_sae) if settings.subtract_b_dec else -(b_dec @ W_enc)
    return {"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec}
