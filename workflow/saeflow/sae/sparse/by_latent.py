"""Products of sparse codes and of their transpose, which gradients are made of."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from torch import Tensor

from saeflow.sae.sparse.rows import on_cpu

# Rows are read in no order. Where the matrix exceeds a core's cache and each row is read several
# times, a few columns at a time are copied to memory of their own: measured twice as fast.
_CACHE_BYTES = 1 << 21
_COLUMNS = 64
_READS = 4


def weighted_sums(
    index: Tensor, offsets: Tensor, values: Tensor, matrix: Tensor, out: Tensor | None = None
) -> Tensor:
    """Return the product of a sparse matrix and a dense one, ``matrix`` (n_rows, m): (n, m).

    Row t has entries ``offsets[t]`` to ``offsets[t + 1]`` (int32, (n + 1,)) of ``values`` in the
    columns ``index`` (int32). ``out`` is where to write it.
    """

    def sums(columns: Tensor) -> Tensor:
        return F.embedding_bag(
            index,
            columns,
            offsets,
            mode="sum",
            per_sample_weights=values.to(columns.dtype),
            include_last_offset=True,
        )

    often = len(index) >= _READS * len(matrix)
    if not (often and on_cpu(matrix) and matrix.nbytes >= _CACHE_BYTES):
        found = sums(matrix)
        return found if out is None else out.copy_(found)
    if out is None:
        out = matrix.new_empty(len(offsets) - 1, matrix.shape[1])
    for part, columns in zip(out.split(_COLUMNS, 1), matrix.split(_COLUMNS, 1), strict=True):
        part.copy_(sums(columns.contiguous()))
    return out


class ByLatent:
    """The entries of codes, as of `saeflow.sae.sparse.codes.Codes`, sorted by latent.

    ``counts`` (d_sae,) int32: number of inputs on which each latent is active.
    """

    def __init__(self, index: Tensor, offsets: Tensor, d_sae: int) -> None:
        self._n, self._d_sae, self._index = len(offsets) - 1, d_sae, index
        if on_cpu(index):
            # SciPy sorts by counting, in a fourth of the time of torch's general sort
            number = np.arange(len(index), dtype=np.int32)
            by_row = (number, index.numpy(), offsets.numpy())
            sparse = csr_matrix(by_row, shape=(self._n, self._d_sae)).tocsc()
            parts = (sparse.data, sparse.indices, sparse.indptr)
            self._order, self._inputs, self._offsets = map(torch.from_numpy, parts)
        else:
            self._order = index.argsort(stable=True)
            self._inputs = (
                torch.repeat_interleave(offsets.diff()).to(torch.int32).index_select(0, self._order)
            )
            counts = torch.bincount(index, minlength=d_sae)
            self._offsets = F.pad(counts.cumsum(0, dtype=torch.int32), (1, 0))
        self.counts = self._offsets.diff()

    def matmul(self, values: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
        """Return C^T @ right, (d_sae, m), where C holds ``values`` (n_active,) at the entries.

        ``right`` is (n, m).
        """
        ordered = values.index_select(0, self._order)
        return weighted_sums(self._inputs, self._offsets, ordered, right, out)

    def sum(self, values: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the sum of ``values`` (n_active,) over the entries of each latent, (d_sae,)."""
        if on_cpu(values):  # one thread adds in order; an accelerator's would in any
            out = values.new_zeros(self._d_sae) if out is None else out.zero_()
            return out.index_add_(0, self._index, values)
        sums = self.matmul(values, values.new_ones(self._n, 1))[:, 0]
        return sums if out is None else out.copy_(sums)
