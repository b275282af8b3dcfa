"""Sparse latent codes and the arithmetic that touches only active latents.

A latent code is almost empty, so everything but the encoder product is done on its active
entries. No architecture's rule lives here. Read `Codes` first; `select.py` makes the codes of a
top-k rule, `extract` those of a threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from saeflow.sae.sparse.by_latent import CACHE_BYTES, COLUMNS, ByLatent
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
        return replace(self, values=self.values[keep], index=self.index[keep], offsets=offsets)

    def split(self, ends: Sequence[int]) -> Codes:
        """Return the same entries with one row per input and group of latents.

        Parameters
        ----------
        ends
            The first latent after each group, rising; the last is d_sae.

        Returns
        -------
        Codes
            Row t * len(ends) + g holds the latents of group g that are active on input t.
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
        if not on_cpu(W_dec) or W_dec.nbytes < CACHE_BYTES:
            return self._decode(W_dec)
        x_hat = W_dec.new_empty(len(self), W_dec.shape[1])
        for part, columns in zip(
            x_hat.split(COLUMNS, dim=1), W_dec.split(COLUMNS, dim=1), strict=True
        ):
            part.copy_(self._decode(columns.contiguous()))
        return x_hat

    def _decode(self, W_dec: Tensor) -> Tensor:
        return F.embedding_bag(
            self.index,
            W_dec,
            self.offsets,
            mode="sum",
            per_sample_weights=self.values.to(W_dec.dtype),
            include_last_offset=True,
        )

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
    """Return as codes the entries of a matrix above a threshold.

    Parameters
    ----------
    pre
        (n, d_sae): pre-activations.
    threshold
        A number, one per row (n, 1), or one per latent (d_sae,): entries must be larger.
    at_most
        Give up and return None where a larger share of the entries than this is above it, or
        four times as many of the first rows'.
    equal
        Take also entries that equal the threshold.
    """
    d_sae = pre.shape[1]
    if on_cpu(pre):
        return _extract_blocks(pre.numpy(), threshold, at_most * pre.numel(), equal)
    mask = pre >= threshold if equal else pre > threshold
    counts = mask.sum(1, dtype=torch.int32)
    if int(counts.sum()) > at_most * pre.numel():
        return None
    flat = mask.view(-1).nonzero().squeeze(1)
    offsets = F.pad(counts.cumsum(0, dtype=torch.int32), (1, 0))
    values = pre.reshape(-1).index_select(0, flat)
    return Codes(values, (flat % d_sae).to(torch.int32), offsets, d_sae)


class Entries(NamedTuple):
    """Entries of a block of rows, as `join` puts them together.

    Attributes
    ----------
    values : ndarray (n_entries,)
        Row after row.
    index : ndarray (n_entries,) int32
        Column of each; rising within a row.
    counts : ndarray (n_rows,) int32
        Entries of each row.
    """

    values: np.ndarray
    index: np.ndarray
    counts: np.ndarray


def entries_of(block: np.ndarray, flat: np.ndarray) -> Entries:
    """Return the entries of ``block`` (m, d) at the flat positions ``flat``, rising."""
    m, d = block.shape
    ends = np.searchsorted(flat, np.arange(d, (m + 1) * d, d))
    counts = np.diff(ends, prepend=0)
    index = flat - np.repeat(np.arange(0, m * d, d), counts)
    values = block.reshape(-1).take(flat)
    return Entries(values, index.astype(np.int32), counts.astype(np.int32))


def join(parts: Sequence[Entries], d_sae: int, like: Tensor) -> Codes:
    """Return the codes that the entries of consecutive blocks of rows make."""
    if not parts:
        empty = torch.zeros(0, dtype=torch.int32)
        return Codes(like.new_zeros(0), empty, torch.zeros(1, dtype=torch.int32), d_sae)
    values, index, counts = (
        torch.from_numpy(np.concatenate(of)) for of in zip(*parts, strict=True)
    )
    offsets = torch.zeros(len(counts) + 1, dtype=torch.int32)
    torch.cumsum(counts, 0, dtype=torch.int32, out=offsets[1:])
    return Codes(values, index, offsets, d_sae)


def _extract_blocks(
    pre: np.ndarray, threshold: Tensor | float, limit: float, equal: bool
) -> Codes | None:
    """Do as `extract` on the CPU, a block of rows at a time, up to ``limit`` entries."""
    compare = np.greater_equal if equal else np.greater
    by_row = isinstance(threshold, Tensor) and threshold.dim() == 2
    bar = threshold.numpy() if isinstance(threshold, Tensor) else pre.dtype.type(threshold)
    n_above = []
    probe = pre[:_PROBE_ROWS]
    if 4 * limit < pre.size and pre.size:
        found = np.count_nonzero(compare(probe, bar[:_PROBE_ROWS] if by_row else bar))
        if found * pre.size > 4 * limit * probe.size:
            return None  # without entries of all rows up to the limit

    def above(block: np.ndarray, first: int) -> Entries | None:
        mask = compare(block, bar[first : first + len(block)] if by_row else bar)
        n_above.append(np.count_nonzero(mask))
        # the sum may miss what other threads count just now, which costs time and nothing else
        return None if sum(n_above) > limit else entries_of(block, flat_nonzero(mask))

    parts = each_block(pre, above)
    if sum(n_above) > limit:
        return None
    return join(parts, pre.shape[1], torch.from_numpy(pre))
