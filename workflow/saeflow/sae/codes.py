"""Sparse latent codes and the arithmetic that touches only active latents.

A latent code is almost empty, so everything but the encoder product is done on its active
entries. No architecture's rule lives here. Read `Codes` first; `select.py` makes the codes of a
top-k rule, `extract` those of a threshold.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from torch import Tensor


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
    """

    values: Tensor
    index: Tensor
    offsets: Tensor
    d_sae: int

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
        return ByLatent(self)

    def with_values(self, values: Tensor) -> Codes:
        """Return codes with the same active set and other ``values`` (n_active,)."""
        codes = replace(self, values=values)
        for name in ("counts", "rows", "by_latent"):  # they depend on the active set alone
            if name in self.__dict__:
                codes.__dict__[name] = self.__dict__[name]
        return codes

    def dense(self) -> Tensor:
        """Return the codes as a dense (n, d_sae) tensor."""
        dense = self.values.new_zeros(len(self), self.d_sae)
        dense[self.rows, self.index.long()] = self.values
        return dense

    def decode(self, W_dec: Tensor) -> Tensor:
        """Return codes @ W_dec, (n, d_in), for W_dec (d_sae, d_in)."""
        return F.embedding_bag(
            self.index,
            W_dec,
            self.offsets,
            mode="sum",
            per_sample_weights=self.values,
            include_last_offset=True,
        )

    def decode_with_pullback(self, W_dec: Tensor) -> tuple[Tensor, Pullback]:
        """Return codes @ W_dec and the function that turns its gradient into that of the values."""
        values = self.values.detach().requires_grad_()
        with torch.enable_grad():
            x_hat = replace(self, values=values).decode(W_dec.detach())
        return x_hat.detach(), Pullback(x_hat, values)


class Pullback:
    """The backward step of a decoding with respect to the values alone."""

    def __init__(self, x_hat: Tensor, values: Tensor) -> None:
        self._x_hat, self._values = x_hat, values

    def __call__(self, gradient: Tensor) -> Tensor:
        """Return W_dec[i] . gradient[t] of each active (t, i), (n_active,)."""
        if not len(self._values):
            return torch.zeros_like(self._values)
        return torch.autograd.grad(self._x_hat, self._values, gradient)[0]


class ByLatent:
    """The entries of codes sorted by latent: what products with the transposed codes need.

    Attributes
    ----------
    counts : Tensor (d_sae,) int32
        Number of inputs on which each latent is active.
    """

    def __init__(self, codes: Codes) -> None:
        self._n, self._d_sae = len(codes), codes.d_sae
        if on_cpu(codes.index):
            # SciPy sorts by counting, in a fourth of the time of torch's general sort
            number = np.arange(len(codes.index), dtype=np.int32)
            by_row = (number, codes.index.numpy(), codes.offsets.numpy())
            sparse = csr_matrix(by_row, shape=(self._n, self._d_sae)).tocsc()
            parts = (sparse.data, sparse.indices, sparse.indptr)
            self._order, self._inputs, self._offsets = map(torch.from_numpy, parts)
        else:
            self._order = codes.index.argsort(stable=True)
            self._inputs = codes.rows.to(torch.int32).index_select(0, self._order)
            counts = torch.bincount(codes.index, minlength=codes.d_sae)
            self._offsets = F.pad(counts.cumsum(0, dtype=torch.int32), (1, 0))
        self.counts = self._offsets.diff()

    def matmul(self, values: Tensor, right: Tensor) -> Tensor:
        """Return C^T @ right, (d_sae, m), where C holds ``values`` (n_active,) at the entries.

        ``right`` is (n, m).
        """
        return self._transposed(values) @ right

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of ``values`` (n_active,) over the entries of each latent, (d_sae,)."""
        return self._transposed(values) @ values.new_ones(self._n)

    def _transposed(self, values: Tensor) -> Tensor:
        _accept_csr()
        return torch.sparse_csr_tensor(
            self._offsets,
            self._inputs,
            values.index_select(0, self._order),
            (self._d_sae, self._n),
            check_invariants=False,
        )


def extract(pre: Tensor, threshold: Tensor | float, mask: Tensor | None = None) -> Codes:
    """Return as codes the entries of a matrix above a threshold.

    Parameters
    ----------
    pre
        (n, d_sae): pre-activations.
    threshold
        A number, or (n, 1): entries must be larger than it.
    mask
        (n, d_sae) bool: ``pre > threshold`` where it is known already.
    """
    n, d_sae = pre.shape
    if mask is None:
        mask = above(pre, threshold)
    flat = where(mask)
    row_starts = torch.arange(0, n * d_sae + 1, d_sae, device=flat.device)
    offsets = torch.searchsorted(flat, row_starts, out_int32=True)
    index = (flat % d_sae).to(torch.int32)
    return Codes(pre.reshape(-1).index_select(0, flat), index, offsets, d_sae)


def above(pre: Tensor, threshold: Tensor | float, out: Tensor | None = None) -> Tensor:
    """Return ``pre > threshold`` (n, d_sae) bool, written to ``out`` if given.

    NOTE: on the CPU NumPy's vectorised comparison is eight times as fast as torch's, whose
    output of another width than its input is not vectorised.
    """
    if not on_cpu(pre):
        return torch.gt(pre, threshold, out=out)
    right = (
        threshold.numpy() if isinstance(threshold, Tensor) else pre.numpy().dtype.type(threshold)
    )
    if out is None:
        return torch.from_numpy(np.greater(pre.numpy(), right))
    np.greater(pre.numpy(), right, out=out.numpy())
    return out


def count(mask: Tensor) -> int:
    """Return the number of true entries of a boolean tensor."""
    if on_cpu(mask):
        return int(np.count_nonzero(mask.numpy()))
    return int(mask.sum())


def where(mask: Tensor) -> Tensor:
    """Return the flat positions of the true entries of ``mask``, (n_active,) int64, rising."""
    if on_cpu(mask):  # NumPy skips empty words: five times as fast as torch
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.reshape(-1).nonzero().squeeze(1)


@cache
def _accept_csr() -> None:
    """Let torch say once, unheard, that its CSR tensors are "beta".

    Only their construction and two products are used, and the tests hold both against dense
    arithmetic.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.eye(1).to_sparse_csr()


def on_cpu(x: Tensor) -> bool:
    """Return whether NumPy can work on the memory of ``x``."""
    return x.device.type == "cpu"
