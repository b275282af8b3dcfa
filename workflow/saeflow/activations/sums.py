"""Sums over the rows of a shard, from which the statistics of a hook are formed once.

They are taken of the values as stored, in blocks that are counted from the shard's first row, so
that they do not depend on how the rows arrived. Read `ShardSums`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from saeflow.activations.layout import Layout
from saeflow.activations.values import bits, from_bits
from saeflow.files import write_atomic

# 256 rows in float64 stay within a core's cache for usual widths.
_BLOCK_ROWS = 256


class ShardSums:
    """Float64 sums over the rows that are not excluded.

    Attributes
    ----------
    n : int
        Rows counted.
    x, x2 : Tensor (d,) float64
        Sums of the values and of their squares.
    norm : float
        Sum of the rows' Euclidean norms.
    """

    def __init__(self, n: int, x: torch.Tensor, x2: torch.Tensor, norm: float) -> None:
        self.n, self.x, self.x2, self.norm = n, x, x2, norm
        self._block: torch.Tensor | None = None

    @classmethod
    def zero(cls, layout: Layout) -> ShardSums:
        """Return sums to which rows of a shard can be added."""
        d = layout.d_model
        zeros = torch.zeros(2, d, dtype=torch.float64)
        sums = cls(0, zeros[0], zeros[1], 0.0)
        sums._dtype = layout.dtype
        sums._block = torch.zeros(_BLOCK_ROWS, d, dtype=torch.float64)
        sums._filled = 0
        return sums

    def add(self, x: np.ndarray, excluded: np.ndarray) -> None:
        """Add rows (n, d) as stored, but for those ``excluded`` (n,) bool."""
        values, included = bits(x), torch.from_numpy(~excluded)
        start = 0
        while start < len(values):
            end = min(len(values), start + _BLOCK_ROWS - self._filled)
            into = self._block[self._filled : self._filled + end - start]
            into.copy_(from_bits(values[start:end], self._dtype))
            into.mul_(included[start:end, None])
            self.n += int(included[start:end].sum())
            self._filled += end - start
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
        ones = torch.ones(len(block), dtype=torch.float64)
        self.x += ones @ block
        block.mul_(block)
        self.x2 += ones @ block
        self.norm += float(block.sum(1).sqrt_().sum())
        self._filled = 0

    def save(self, path: Path) -> None:
        """Write the sums to a file: n and norm, then x and x2, as little-endian float64."""
        numbers = [np.array([self.n, self.norm]), self.x.numpy(), self.x2.numpy()]
        write_atomic(path, np.concatenate(numbers).astype("<f8").tobytes())

    @classmethod
    def load(cls, path: Path) -> ShardSums:
        """Read what `save` wrote."""
        numbers = np.fromfile(path, dtype="<f8")
        x, x2 = torch.from_numpy(numbers[2:]).chunk(2)
        return cls(int(numbers[0]), x, x2, float(numbers[1]))

    @classmethod
    def total(cls, parts: Iterable[ShardSums]) -> ShardSums:
        """Return the sums over all shards, added in their order."""
        parts = list(parts)
        d = len(parts[0].x)
        whole = cls(
            0, torch.zeros(d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64), 0.0
        )
        for part in parts:
            whole.n += part.n
            whole.x += part.x
            whole.x2 += part.x2
            whole.norm += part.norm
        return whole

    @property
    def mean(self) -> np.ndarray:
        """Mean of each dimension, (d,) float64."""
        return (self.x / max(self.n, 1)).numpy()

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of each dimension about its mean, (d,) float64."""
        mean = self.x / max(self.n, 1)
        return (self.x2 / max(self.n, 1) - mean**2).clamp_(min=0).sqrt_().numpy()

    @property
    def rms(self) -> float:
        """Root of the mean square over rows and dimensions."""
        return float((self.x2.sum() / max(self.n * len(self.x2), 1)).sqrt())

    @property
    def mean_norm(self) -> float:
        """Mean Euclidean norm of a row."""
        return self.norm / max(self.n, 1)
