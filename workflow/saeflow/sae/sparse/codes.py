"""Sparse latent codes and the arithmetic that touches only active latents.

A latent code is almost empty, so everything but the encoder product is done on its active
entries. No architecture's rule lives here. Read `Codes` first; `select.py` makes the codes of a
top-k rule, `extract` those of a threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from saeflow.sae.sparse.by_latent import ByLatent, weighted_sums
from saeflow.sae.sparse.rows import each_block, flat_nonzero, on_cpu

if TYPE_CHECKING:
    from saeflow.sae.input_norm import Frame

_PROBE_ROWS = 64


@dataclass(frozen=True)
class Codes:
    """The active latents of n inputs, row after row.

    Attributes
    ----------
    values : Tensor (n_active,)
        Activation of each active latent, larger than zero.
    index : Tensor (n_active,) int32
        Latent of each value; rising within a row.
    offsets : Tensor (n + 1,) int32
        Row t holds entries ``offsets[t]`` to ``offsets[t + 1]``.
    d_sae : int
        Number of latents.
    frame : Frame | None
        What the SAE took off the inputs, if anything: see `saeflow.sae.input_norm`.
    """

    values: Tensor
    index: Tensor
    offsets: Tensor
    d_sae: int
    frame: Frame | None = None

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.offsets) - 1

    @cached_property
    def counts(self) -> Tensor:
        """Number of active latents of each input, (n,) int32: its l0."""
        return self.offsets.diff()

    @cached_property
    def rows(self) -> Tensor:
        """Input of each value, (n_active,) int64."""
        return torch.repeat_interleave(self.counts)

    @cached_property
    def by_latent(self) -> ByLatent:
        """The same entries sorted by latent; the sort is done once."""
        return ByLatent(self.index, self.offsets, self.d_sae)

    @property
    def n_active(self) -> int:
        """Active latents, summed over the inputs."""
        return len(self.values)

    def at_entries(self, per_latent: Tensor) -> Tensor:
        """Return the entry of ``per_latent`` (d_sae,) that belongs to each value, (n_active,)."""
        return per_latent.index_select(0, self.index)

    def masked(self, d_values: Tensor) -> Tensor:
        """Return ``d_values`` (n_active,): every entry is active; see `DenseCodes.masked`."""
        return d_values

    def with_values(self, values: Tensor) -> Codes:
        """Return codes with the same active set and other ``values`` (n_active,)."""
        codes = replace(self, values=values)
        for name in ("counts", "rows", "by_latent"):  # they depend on the active set alone
            if name in self.__dict__:
                codes.__dict__[name] = self.__dict__[name]
        return codes

    def part(self, keep: Tensor) -> Codes:
        """Return the codes of the entries that ``keep`` (n_active,) bool marks."""
        kept = F.pad(keep.cumsum(0, dtype=torch.int32), (1, 0))
        offsets = kept.index_select(0, self.offsets)
        places = keep.nonzero().squeeze(1)
        values, index = (part.index_select(0, places) for part in (self.values, self.index))
        return replace(self, values=values, index=index, offsets=offsets)

    def split(self, ends: Sequence[int]) -> Codes:
        """Return the same entries with one row per input and group of latents.

        ``ends`` are the first latents after each group, rising; the last is d_sae. Row t *
        len(ends) + g holds the latents of group g that are active on input t.
        """
        device = self.index.device
        group = torch.bucketize(
            self.index, torch.tensor(ends, device=device, dtype=torch.int32), right=True
        )
        row = self.rows * len(ends) + group
        counts = torch.bincount(row, minlength=len(self) * len(ends))
        offsets = F.pad(counts.cumsum(0, dtype=torch.int32), (1, 0))
        return Codes(self.values, self.index, offsets, self.d_sae)

    def dense(self) -> Tensor:
        """Return the codes as a dense (n, d_sae) tensor."""
        dense = self.values.new_zeros(len(self), self.d_sae)
        dense[self.rows, self.index.long()] = self.values
        return dense

    def decode(self, W_dec: Tensor) -> Tensor:
        """Return codes @ W_dec, (n, d_in), for W_dec (d_sae, d_in)."""
        return weighted_sums(self.index, self.offsets, self.values, W_dec)

    def decode_with_pullback(self, W_dec: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return codes @ W_dec and the function that turns its gradient into that of the values.

        The latter returns W_dec[i] . gradient[t] of each active (t, i), (n_active,).
        """

        def pullback(gradient: Tensor) -> Tensor:
            if not self.n_active:
                return torch.zeros_like(self.values)
            # what autograd calls for `decode`, without the second decoding that it would need
            return torch.ops.aten._embedding_bag_per_sample_weights_backward(
                gradient, W_dec, self.index, self.offsets[:-1], self.rows.to(torch.int32), 0
            )

        return self.decode(W_dec), pullback


def concatenate(parts: Sequence[Codes]) -> Codes:
    """Return the codes of consecutive inputs as one."""
    ends = torch.tensor([part.n_active for part in parts]).cumsum(0)
    starts = [0, *ends.tolist()]
    offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
    last = parts[-1].offsets[-1:] + starts[-2]
    return Codes(
        torch.cat([part.values for part in parts]),
        torch.cat([part.index for part in parts]),
        torch.cat([*offsets, last]),
        parts[0].d_sae,
    )


def extract(
    pre: Tensor, threshold: Tensor | float, *, at_most: float = 1.0, equal: bool = False
) -> Codes | None:
    """Return the entries of ``pre`` (n, d_sae) above a threshold, with ``equal`` also those at it.

    The threshold is a number, one per row (n, 1), or one per latent (d_sae,). None is returned
    where a larger share of the entries than ``at_most`` is above it, or four times as many of the
    first rows'.
    """
    d_sae = pre.shape[1]
    if on_cpu(pre):
        return _extract_blocks(pre, threshold, at_most * pre.numel(), equal)
    mask = pre >= threshold if equal else pre > threshold
    counts = mask.sum(1, dtype=torch.int32)
    if int(counts.sum()) > at_most * pre.numel():
        return None
    flat = mask.view(-1).nonzero().squeeze(1)
    offsets = F.pad(counts.cumsum(0, dtype=torch.int32), (1, 0))
    values = pre.reshape(-1).index_select(0, flat)
    return Codes(values, (flat % d_sae).to(torch.int32), offsets, d_sae)


def at_places(matrix: Tensor, places: Sequence[np.ndarray]) -> Codes:
    """Return as codes the entries of ``matrix`` (n, d_sae), contiguous, at some places.

    ``places`` are flat positions, rising; each array has those of some consecutive rows.
    """
    n, d_sae = matrix.shape
    flat = np.concatenate([np.zeros(0, np.int64), *places])
    offsets = np.searchsorted(flat, np.arange(0, n * d_sae + 1, d_sae))
    index = flat - np.repeat(np.arange(0, n * d_sae, d_sae), np.diff(offsets))
    values = matrix.numpy().reshape(-1).take(flat)
    as_int32 = (torch.from_numpy(part.astype(np.int32)) for part in (index, offsets))
    return Codes(torch.from_numpy(values), *as_int32, d_sae)


def _extract_blocks(
    pre: Tensor, threshold: Tensor | float, limit: float, equal: bool
) -> Codes | None:
    """Do as `extract` on the CPU, a block of rows at a time, up to ``limit`` entries."""
    compare = np.greater_equal if equal else np.greater
    pre = pre.contiguous()
    matrix = pre.numpy()
    by_row = isinstance(threshold, Tensor) and threshold.dim() == 2
    bar = threshold.numpy() if isinstance(threshold, Tensor) else matrix.dtype.type(threshold)
    n_above = []
    probe = matrix[:_PROBE_ROWS]
    if 4 * limit < matrix.size and matrix.size:
        found = np.count_nonzero(compare(probe, bar[:_PROBE_ROWS] if by_row else bar))
        if found * matrix.size > 4 * limit * probe.size:
            return None  # without entries of all rows up to the limit

    def above(block: np.ndarray, first: int) -> np.ndarray | None:
        mask = compare(block, bar[first : first + len(block)] if by_row else bar)
        n_above.append(np.count_nonzero(mask))
        # the sum may miss what other threads count just now, which costs time and nothing else
        return None if sum(n_above) > limit else flat_nonzero(mask) + first * block.shape[1]

    parts = each_block(matrix, above)
    return None if sum(n_above) > limit else at_places(pre, parts)
