"""Weighted sums of a few rows each of a matrix: the product of a sparse and a dense one."""

from __future__ import annotations

import torch.nn.functional as F
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
    """Return for each bag the sum of its rows of ``matrix``, each times its value, (n_bags, m).

    Parameters
    ----------
    index
        (n_entries,) int32: rows of ``matrix``, bag after bag.
    offsets
        (n_bags + 1,) int32: bag b holds entries ``offsets[b]`` to ``offsets[b + 1]``.
    values
        (n_entries,): the factor of each.
    matrix
        (n_rows, m).
    out
        (n_bags, m): where to write the sums.
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
