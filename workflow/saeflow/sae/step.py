"""What an architecture's step reads and returns, shared by all of them.

An architecture is one module in `architectures/` with

    Settings                                   frozen dataclass of its own settings, among them
                                               subtract_b_dec: whether it encodes x - b_dec
    UNIT_NORM_DECODER                          whether decoder rows are kept at norm 1
    SAELENS                                    SAELens' name of the architecture
    initial(settings, d_sae, x, generator)     -> first weights, from a first batch
    encode(weights, settings, x)               -> dense latents (n, d_sae)
    encode_sparse(weights, settings, x)        -> Codes
    step(weights, gradients, settings, batch, state)   -> Terms; writes the gradients
    to_saelens(settings)                       -> its keys in SAELens' cfg.json
    from_saelens(config, weights)              -> (settings, weights)

Weights and gradients are dictionaries of tensors by name; gradients have the strides of their
weights and are overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


class Workspace:
    """Scratch memory that every step of every SAE of a process reuses.

    NOTE: a fresh (batch, d_sae) tensor costs a page fault per 4 kB, as much as the arithmetic on
    it; an SAE must therefore write each buffer before it reads it.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple, Tensor] = {}

    def buffer(self, name: str, shape: tuple[int, ...], like: Tensor, dtype: Any = None) -> Tensor:
        """Return scratch of ``shape``; its content is undefined."""
        dtype = like.dtype if dtype is None else dtype
        key = (name, shape, dtype, like.device)
        if key not in self._buffers:
            self._buffers[key] = torch.empty(shape, dtype=dtype, device=like.device)
        return self._buffers[key]


class Batch:
    """One batch of activations and what the SAEs that share it have in common.

    Attributes
    ----------
    x : Tensor (n, d_in)
        The activations.
    memo : dict
        Results that several trainees of one batch share (the codes of a frozen encoder).
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.memo: dict[Any, Any] = {}

    def __len__(self) -> int:
        """Return the number of activations."""
        return len(self.x)

    @cached_property
    def variance(self) -> float:
        """Sum over the batch of |x - mean of x|^2."""
        return float((self.x - self.x.mean(0)).square().sum(dtype=torch.float64))


@dataclass(frozen=True)
class State:
    """What a step may know of the training so far.

    Attributes
    ----------
    tokens : int
        Tokens trained on before this step.
    dead : Tensor (d_sae,) bool
        Latents that were active on none of the last ``dead_tokens`` tokens.
    workspace : Workspace
        Scratch memory.
    """

    tokens: int
    dead: Tensor
    workspace: Workspace


@dataclass(frozen=True)
class Terms:
    """What a step measured on its batch, before the weights moved.

    Attributes
    ----------
    loss : float
        What was minimised.
    error : float
        Sum over the batch of |x_hat - x|^2.
    penalty : float
        The loss' terms besides the reconstruction, coefficient included.
    n_active : int
        Active latents, summed over the batch.
    fired : Tensor (d_sae,) bool
        Latents active anywhere in the batch.
    """

    loss: float
    error: float
    penalty: float
    n_active: int
    fired: Tensor


def sum_of_squares(x: Tensor) -> float:
    """Return the sum of squares of a contiguous tensor."""
    flat = x.view(-1)
    return float(torch.dot(flat, flat))


def centred(x: Tensor, b_dec: Tensor, workspace: Workspace) -> Tensor:
    """Return ``x - b_dec`` (n, d_in) in scratch memory."""
    return torch.sub(x, b_dec, out=workspace.buffer("centred", tuple(x.shape), x))
