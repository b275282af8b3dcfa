"""Activations in eight bits: standardised by dimension, then scaled by row.

    z = (x - mean) / std,   scale = max |z| over the row / 127,   q = round(z / scale)

and back x = mean + std * scale * q. A value is wrong by at most half a step, std * scale / 2, so
the normalised mean square error of rows is at most the mean of scale**2 over them, divided by 4,
and near a third of that, as errors fall evenly within a step. Read `Quantiser`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr

from saeflow.tokens.flags import excluded

SCALE = "scale"
_LEVELS = 127


class Quantiser:
    """Turns values into bytes, and counts the error.

    Mean and std, (d,) float32, are those of the store; where std is 0 a dimension is scaled by 1.
    """

    def __init__(self, mean: np.ndarray, std: np.ndarray) -> None:
        self._mean, self._std = mean, divisor(std)
        self._error = self._variance = 0.0

    def quantise(self, x: np.ndarray, flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the bytes (n, d) int8 and the scales (n,) float32 of rows (n, d) float32."""
        z = (x - self._mean) / self._std
        scale = (np.abs(z).max(axis=1) / _LEVELS).astype(np.float32)
        step = np.where(scale > 0, scale, np.float32(1))
        q = np.clip(np.rint(z / step[:, None]), -_LEVELS, _LEVELS).astype(np.int8)
        kept = ~excluded(flags)
        back = values(q, scale, self._mean, self._std)
        self._error += _squares(x[kept] - back[kept])
        self._variance += _squares(x[kept] - self._mean)
        return q, scale

    @property
    def nmse(self) -> float:
        """Squared error of ordinary rows so far, divided by their distance from the mean."""
        return self._error / self._variance if self._variance else 0.0


class Values:
    """Turns the bytes of an archive, whose directory it gets, back into values."""

    def __init__(self, path: Path) -> None:
        group = zarr.open_group(str(path), mode="r", use_consolidated=False)
        self._scale = np.asarray(group[SCALE][:])
        self._mean, self._std = np.asarray(group["mean"][:]), divisor(np.asarray(group["std"][:]))

    def __call__(self, q: np.ndarray, start: int) -> np.ndarray:
        """Return the values (n, d) float32 of bytes (n, d) that begin at row ``start``."""
        return values(q, self._scale[start : start + len(q)], self._mean, self._std)


def values(q: np.ndarray, scale: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return ``mean + std * scale * q``, (n, d) float32."""
    return (q * scale[:, None]) * std + mean


def divisor(std: np.ndarray) -> np.ndarray:
    """Return the standard deviations with 1 in the place of 0."""
    return np.where(std > 0, std, np.float32(1))


def _squares(x: np.ndarray) -> float:
    return float(np.square(x, dtype=np.float64).sum())
