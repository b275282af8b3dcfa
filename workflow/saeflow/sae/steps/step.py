"""What an architecture's step reads and returns, shared by all of them.

An architecture is one module in `architectures/` with

    Settings, Recipe                           its own settings, and those with the options of
                                               training: classes of `saeflow.config.architectures`
    BUFFERS                                    names of the weights that no gradient moves: the
                                               step changes them itself, in place, or nobody does
                                               (one whose name begins with "_" is of training
                                               alone and not in the result)
    VECTORS                                    names of its weights of shape (d_sae,) in a result
    SAELENS                                    SAELens' name of the architecture in our files
    SAELENS_NAMES                              SAELens' names of what is read as one of it
    last_loss(settings, weights)               -> what the loss has become by what its buffers of
                                               training alone hold, for the header
    held_loss(settings, last, like)            -> (settings, those buffers) of the loss that stays
                                               so; both where such buffers are
    initial(settings, d_sae, x, generator)     -> first weights and buffers, from a first batch
    encode_sparse(weights, settings, x, workspace=None)   -> Codes; with scratch memory, which
                                               they may keep, also `DenseCodes` where many are
                                               active
    step(weights, gradients, settings, batch, state)   -> Terms; writes the gradients

Weights, buffers among them, are a dictionary of tensors by name: "W_enc" (d_in, d_sae), kept as
the transpose of a contiguous tensor, "W_dec" (d_sae, d_out), "b_dec" (d_out,) and what the rule
needs besides. They and Adam's moments are float32 whatever the activations were stored in, and go
to checkpoints and files as they are. ``gradients`` has a tensor for each weight that is no
buffer, with its strides and with undefined content: a step writes each of them.

`backward.py` has the arithmetic that a step is made of, `select.py` the top-k rules, `auxk.py`
the loss for dead latents, `initial.py` first weights; an architecture holds its rule and its
loss. Dense products of a step go through ``state.workspace.mm``, which knows their precision. A
step must be a function of its arguments alone, to the last bit, since a resumed run
repeats it; what it wants to remember is a buffer. ``x`` is (n, d_in), rows in any number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from saeflow.sae.sparse.rows import on_cpu

Weights = Mapping[str, Tensor]
"""Tensors by name: weights, or their gradients."""

_ROWS = 256


class Workspace:
    """Scratch memory that every step of every SAE of a process reuses, and how steps multiply.

    NOTE: a fresh (batch, d_sae) tensor costs a page fault per 4 kB, as much as the arithmetic on
    it; an SAE must therefore write each buffer before it reads it.

    Parameters
    ----------
    matmul_dtype
        To which `mm` rounds its factors: "bfloat16" (8 significant bits; products and sums are
        float32, as in the matrix units of GPUs), or "float32", which leaves them as they are.
    """

    def __init__(self, matmul_dtype: str = "float32") -> None:
        self.matmul_dtype = matmul_dtype
        self._buffers: dict[tuple, Tensor] = {}

    def multiplying_in(self, matmul_dtype: str) -> Workspace:
        """Return the same memory with another precision of products."""
        if matmul_dtype == self.matmul_dtype:
            return self
        other = Workspace(matmul_dtype)
        other._buffers = self._buffers
        return other

    def mm(self, a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the dense product ``a @ b`` of (n, d) and (d, m), in the precision of ``a``."""
        if self.matmul_dtype == "float32":
            return torch.mm(a, b, out=out)
        low_a, low_b = a.bfloat16(), b.bfloat16()
        if a.device.type == "cuda" and a.dtype == torch.float32:
            return torch.mm(low_a, low_b, out_dtype=torch.float32, out=out)
        # a CPU would round the result too, by which pre-activations tie: multiplied in float32,
        # the rounded factors give the same as a GPU, at no gain
        return torch.mm(low_a.to(a.dtype), low_b.to(b.dtype), out=out)

    def buffer(self, name: str, shape: tuple[int, ...], like: Tensor, dtype: Any = None) -> Tensor:
        """Return scratch of ``shape``; its content is undefined."""
        dtype = like.dtype if dtype is None else dtype
        key = (name, shape, dtype, like.device)
        if key not in self._buffers:
            self._buffers[key] = torch.empty(shape, dtype=dtype, device=like.device)
        return self._buffers[key]


class Batch:
    """One batch of activations and what the SAEs that share it have in common.

    ``x`` (n, d_in) is encoded; ``target`` (n, d_out) is what x_hat is compared with: ``x`` itself,
    or for a transcoder the activations of another hook on the same tokens. ``memo`` has results
    that several trainees of one batch share (the codes of a frozen encoder).
    """

    def __init__(self, x: Tensor, target: Tensor | None = None) -> None:
        self.x = x
        self.target = x if target is None else target
        self.memo: dict[Any, Any] = {}

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device; itself if it is there."""
        if self.x.device == device:
            return self
        target = None if self.target is self.x else self.target.to(device)
        return Batch(self.x.to(device), target)

    def __len__(self) -> int:
        """Return the number of activations."""
        return len(self.x)

    @cached_property
    def variance(self) -> float:
        """Sum over the batch of |target - mean of target|^2."""
        return variance(self.target)


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
        Scratch memory, and the precision of dense products.
    total : int
        Tokens of the whole run; 0 where there is none.
    """

    tokens: int
    dead: Tensor
    workspace: Workspace
    total: int = 0


@dataclass(frozen=True)
class Terms:
    """What a step measured on its batch, before the weights moved.

    Attributes
    ----------
    loss : float
        What was minimised.
    error : float
        Sum over the batch of |x_hat - target|^2.
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


def variance(y: Tensor) -> float:
    """Return the sum over the rows of ``y`` (n, d) of |y - mean of y|^2."""
    mean = y.mean(0)
    if not on_cpu(y):  # to wait for each part's sum would cost more
        return float((y - mean).square_().sum(dtype=torch.float64))
    # parts that fit a core's cache, added in float64
    return sum(sum_of_squares(rows - mean) for rows in y.split(_ROWS))
