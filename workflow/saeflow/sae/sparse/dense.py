"""Latent codes of which many entries are active: the same arithmetic by dense products.

`DenseCodes` offers what `codes.Codes` offers to a step. Early in training half of the latents of
a ReLU are active.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from saeflow.sae.sparse.rows import each_block, on_cpu

if TYPE_CHECKING:
    from saeflow.sae.steps.step import Workspace


@dataclass(frozen=True, eq=False)
class DenseCodes:
    """The latents of n inputs, ``values`` (n, d_sae), zero where not active.

    The workspace has scratch memory for the way back, and the precision of products.
    """

    values: Tensor
    workspace: Workspace

    @classmethod
    def above(cls, pre: Tensor, threshold: Tensor | float, workspace: Workspace) -> DenseCodes:
        """Return the entries of ``pre`` (n, d_sae), overwritten, above a threshold.

        The threshold, a number or (d_sae,), is at least zero.
        """
        if isinstance(threshold, Tensor):
            torch.where(pre > threshold, pre, pre.new_zeros(()), out=pre)
        else:
            torch.nn.functional.threshold_(pre, threshold, 0.0)
        return cls(pre, workspace)

    @cached_property
    def n_active(self) -> int:
        """Active latents, summed over the inputs."""
        return int(self.by_latent.counts.sum())

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.values)

    def with_values(self, values: Tensor) -> DenseCodes:
        """Return codes with other ``values`` (n, d_sae) on the same active set, or part of it."""
        return replace(self, values=values)

    def at_entries(self, per_latent: Tensor) -> Tensor:
        """Return ``per_latent`` (d_sae,) in a shape that fits the values."""
        return per_latent

    def masked(self, d_values: Tensor) -> Tensor:
        """Set ``d_values`` (n, d_sae), in place, to zero where a latent is not active."""
        return torch.ops.aten.threshold_backward.grad_input(
            d_values, self.values, 0, grad_input=d_values
        )

    def decode_with_pullback(self, W_dec: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return f @ W_dec and the function that turns its gradient into that of the values."""

        def pullback(gradient: Tensor) -> Tensor:
            out = self.workspace.buffer("d_values", tuple(self.values.shape), self.values)
            return self.workspace.mm(gradient, W_dec.T, out)

        return self.workspace.mm(self.values, W_dec), pullback

    @cached_property
    def by_latent(self) -> DenseByLatent:
        """Products with the transposed codes."""
        return DenseByLatent(self.values, self.workspace)


class DenseByLatent:
    """Products with the transposed codes, for values (n, d_sae)."""

    def __init__(self, values: Tensor, workspace: Workspace) -> None:
        self._values, self._workspace = values, workspace

    @cached_property
    def counts(self) -> Tensor:
        """Number of inputs on which each latent is active, (d_sae,) int64."""
        if on_cpu(self._values):
            parts = each_block(self._values.numpy(), lambda block, _: _count_positive(block))
            return torch.from_numpy(np.sum(parts, axis=0, dtype=np.int64))
        return (self._values > 0).sum(0)

    def matmul(self, values: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
        """Return C^T @ right, (d_sae, m), where C is ``values`` (n, d_sae)."""
        return self._workspace.mm(values.T, right, out)

    def sum(self, values: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the sum of ``values`` (n, d_sae) over the inputs, (d_sae,)."""
        return torch.sum(values, 0, out=out)


def _count_positive(block: np.ndarray) -> np.ndarray:
    """Return the number of positive entries of each column of ``block`` (m, d), (d,) int64.

    NOTE: torch counts in a (n, d_sae) matrix of 64-bit numbers; bytes hold up to 255.
    """
    positive = (block > 0).view(np.uint8)
    rows = range(0, len(positive), 255)
    parts = [np.add.reduce(positive[i : i + 255], axis=0, dtype=np.uint8) for i in rows]
    return np.sum(parts, axis=0, dtype=np.int64)
