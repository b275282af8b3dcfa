"""Sums over the rows of a shard, from which the statistics of a hook are formed once.

They are taken of the values as stored, in blocks that are counted from the shard's first row, so
that they do not depend on how the rows arrived: float32 within a block, float64 over the blocks.
Read `ShardSums`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr

from saeflow.activations.layout import Layout
from saeflow.activations.values import TORCH, bits
from saeflow.files import write_atomic

# 256 rows in float32 stay within a core's cache for usual widths.
_BLOCK_ROWS = 256
# torch gives tensors from 32,768 values on to all threads; a thread beside the forward pass must
# not wake a second team of them.
_SERIAL_VALUES = (1 << 15) - 1
# The squares of up to 1e8 such values have a sum in float32; blocks with larger ones, which only
# bfloat16 and float32 have, are summed in float64.
_MAX_IN_FLOAT32 = 1e15


class ShardSums:
    """Float64 sums over the rows that are not excluded.

    Attributes
    ----------
    n : int
        Rows counted.
    x, x2 : ndarray (d,) float64
        Sums of the values and of their squares.
    norm : float
        Sum of the rows' Euclidean norms.

    Notes
    -----
    A block's sum of 256 float32 values errs by at most 256 * 2**-24 = 1.5e-5 of the sum of their
    magnitudes, and by about 1e-7 as a rule: less than the 16-bit formats took from each value.
    """

    def __init__(self, n: int, x: np.ndarray, x2: np.ndarray, norm: float) -> None:
        self.n, self.x, self.x2, self.norm = n, x, x2, norm
        self._block: np.ndarray | None = None

    @classmethod
    def zero(cls, layout: Layout) -> ShardSums:
        """Return sums to which rows of a shard can be added."""
        d = layout.d_model
        sums = cls(0, np.zeros(d), np.zeros(d), 0.0)
        sums._dtype = TORCH[layout.dtype]
        sums._wide = layout.dtype != "float16"
        sums._block = np.zeros((_BLOCK_ROWS, d), dtype=np.float32)
        sums._filled = 0
        return sums

    def add(self, x: np.ndarray, excluded: np.ndarray) -> None:
        """Add rows (n, d) as stored, but for those ``excluded`` (n,) bool."""
        values = bits(x).view(self._dtype)
        start = 0
        while start < len(values):
            end = min(len(values), start + _BLOCK_ROWS - self._filled)
            into = self._block[self._filled : self._filled + end - start]
            _copy(values[start:end], torch.from_numpy(into))
            (out,) = excluded[start:end].nonzero()
            into[out] = 0.0
            self.n += len(into) - len(out)
            self._filled += len(into)
            if self._filled == _BLOCK_ROWS:
                self._take()
            start = end

    def close(self) -> ShardSums:
        """Take the last rows and return the sums."""
        self._take()
        self._block = None
        return self

    def _take(self) -> None:
        """Add the block's rows; the excluded ones are zero."""
        block = self._block[: self._filled]
        self._filled = 0
        # What is not finite the writer refuses; it may come here first.
        with np.errstate(over="ignore", invalid="ignore"):
            if self._wide and len(block) and max(block.max(), -block.min()) > _MAX_IN_FLOAT32:
                block = block.astype(np.float64)
            self.x += np.add.reduce(block, axis=0)
            np.multiply(block, block, out=block)
            self.x2 += np.add.reduce(block, axis=0)
            squares = np.einsum("ij->i", block)
            self.norm += float(np.sqrt(squares).sum(dtype=np.float64))

    def save(self, path: Path) -> None:
        """Write the sums to a file: n and norm, then x and x2, as little-endian float64."""
        numbers = [np.array([self.n, self.norm]), self.x, self.x2]
        write_atomic(path, np.concatenate(numbers).astype("<f8").tobytes())

    @classmethod
    def load(cls, path: Path) -> ShardSums:
        """Read what `save` wrote."""
        numbers = np.fromfile(path, dtype="<f8")
        x, x2 = np.split(numbers[2:], 2)
        return cls(int(numbers[0]), x, x2, float(numbers[1]))

    @classmethod
    def total(cls, parts: Iterable[ShardSums]) -> ShardSums:
        """Return the sums over all shards, added in their order."""
        whole = cls(0, np.zeros(1), np.zeros(1), 0.0)
        for part in parts:
            whole.n += part.n
            whole.x = whole.x + part.x
            whole.x2 = whole.x2 + part.x2
            whole.norm += part.norm
        return whole

    def describe(self, group: zarr.Group, layout: Layout) -> dict[str, Any]:
        """Write mean and std (d,) float32 to a store's group; return what its record says."""
        for name, values in (("mean", self.mean), ("std", self.std)):
            group.create_array(name, data=values.astype(np.float32), overwrite=True)
        return {
            "d_model": layout.d_model,
            "n_rows": layout.n_rows,
            "dtype": layout.dtype,
            "n_included_rows": self.n,
            "rms": self.rms,
            "mean_norm": self.mean_norm,
        }

    @property
    def mean(self) -> np.ndarray:
        """Mean of each dimension, (d,) float64."""
        return self.x / max(self.n, 1)

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of each dimension about its mean, (d,) float64."""
        return np.sqrt(np.maximum(self.x2 / max(self.n, 1) - self.mean**2, 0.0))

    @property
    def rms(self) -> float:
        """Root of the mean square over rows and dimensions."""
        return float(np.sqrt(self.x2.sum() / max(self.n * len(self.x2), 1)))

    @property
    def mean_norm(self) -> float:
        """Mean Euclidean norm of a row."""
        return self.norm / max(self.n, 1)


def _copy(x: torch.Tensor, into: torch.Tensor) -> None:
    """Copy values (n, d) to float32, in one thread."""
    rows = max(1, _SERIAL_VALUES // x.shape[1])
    for start in range(0, len(x), rows):
        into[start : start + rows].copy_(x[start : start + rows])
