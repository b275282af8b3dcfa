"""What some SAEs do to each input before they encode it, and undo after decoding.

Most SAEs take activations as they are; a fixed scale is folded into their weights. What differs
from row to row cannot be folded; recipes have it as ``normalize_input``, SAEs from elsewhere too:

    none           x
    center         x - m                    m = mean of the row: models that TransformerLens
                                            processed have a residual stream without it
    layer_norm     (x - m) / (s + 1e-5)     s = standard deviation of the row, divisor d - 1
    constant_norm  x sqrt(d) / |x|

SAELens' ``normalize_activations`` has the last two; OpenAI's TopK SAEs the second. Read `apply`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from saeflow.errors import ModelError

NAMES = ("none", "center", "layer_norm", "constant_norm")
_EPSILON = 1e-5  # of both SAELens and OpenAI; it is not put back
_SMALLEST = 1e-30


class Frame(NamedTuple):
    """What was taken off rows, so that it can be put back.

    Attributes
    ----------
    shift, scale : Tensor (n, 1)
        A reconstruction y stands for ``y * scale + shift``.
    """

    shift: Tensor
    scale: Tensor

    def restore(self, x_hat: Tensor) -> Tensor:
        """Return reconstructions (n, d) in the units of the inputs."""
        return x_hat * self.scale + self.shift


def apply(name: str, x: Tensor) -> tuple[Tensor, Frame | None]:
    """Return ``x`` (n, d) as the encoder reads it, and how to come back; None for "none"."""
    if name == "none":
        return x, None
    if name == "constant_norm":
        scale = x.norm(dim=-1, keepdim=True).clamp_(min=_SMALLEST) / x.shape[-1] ** 0.5
        return x / scale, Frame(torch.zeros_like(scale), scale)
    mean = x.mean(-1, keepdim=True)
    if name == "center":
        return x - mean, Frame(mean, torch.ones_like(mean))
    if name == "layer_norm":
        std = x.std(-1, keepdim=True)
        return (x - mean) / (std + _EPSILON), Frame(mean, std)
    raise ModelError(
        "this way to prepare an SAE's inputs is not known",
        expected=" | ".join(NAMES),
        got=name,
    )
