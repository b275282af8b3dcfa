"""The fingerprint of a hook: mean and spread of its activations, to tell it from another's.

Two hooks of a model, or the same hook of two models, can have the same width, so an SAE runs on
either without complaint. Their means and spreads differ; `Fingerprint.compare` says by how much.
Read `Fingerprint` first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from saeflow.activations.reader import Store

# Below, a difference is what another text gives; see `Comparison.alike`.
MAX_SHIFT = 0.5
MAX_SPREAD = 0.5
_LEAST_ROWS = 64


class Comparison(NamedTuple):
    """How a sample of rows differs from a fingerprint.

    Attributes
    ----------
    shift : float
        Distance of the means in standard deviations: the root mean square over dimensions.
    spread : float
        Mean absolute logarithm of the ratio of the standard deviations.
    rms_ratio : float
        Root mean square of the sample over that of the fingerprint.
    n_rows : int
        Rows in the sample.
    """

    shift: float
    spread: float
    rms_ratio: float
    n_rows: int

    def alike(self, max_shift: float = MAX_SHIFT, max_spread: float = MAX_SPREAD) -> bool:
        """Whether the sample can be of the same hook of the same model.

        Notes
        -----
        With n independent rows of the same hook, the shift is about n**-0.5 and the spread about
        (pi * n)**-0.5; tokens of one text are not independent, and other text shifts the means.
        So a sample below 64 rows is never called different.
        """
        return self.n_rows < _LEAST_ROWS or (self.shift <= max_shift and self.spread <= max_spread)


class Fingerprint(NamedTuple):
    """Statistics of a hook over the rows that are not excluded.

    Attributes
    ----------
    mean, std : ndarray (d_model,) float32
        Of each dimension.
    rms : float
        Root of the mean square over rows and dimensions.
    """

    mean: np.ndarray
    std: np.ndarray
    rms: float

    @classmethod
    def of(cls, store: Store) -> Fingerprint:
        """Return the fingerprint of a store's hook."""
        return cls(store.mean, store.std, float(store.record["rms"]))

    def compare(self, x: np.ndarray) -> Comparison:
        """Compare a sample of rows with the fingerprint.

        Parameters
        ----------
        x : (n, d_model)
            Activations of ordinary tokens; leave special tokens out, they are outliers.

        Raises
        ------
        ValueError
            If the sample is empty or of another width.
        """
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.mean) or not len(x):
            raise ValueError(f"a sample (n, {len(self.mean)}) is needed; got {x.shape}")
        # A dimension that never moves is measured against the others' typical spread.
        floor = 1e-3 * float(np.sqrt(np.mean(self.std.astype(np.float64) ** 2))) or 1.0
        std = np.maximum(self.std.astype(np.float64), floor)
        shift = (x.mean(0) - self.mean) / std
        spread = np.log(np.maximum(x.std(0), floor) / std)
        rms = np.sqrt(np.mean(x * x))
        return Comparison(
            float(np.sqrt(np.mean(shift**2))),
            float(np.abs(spread).mean()),
            float(rms / self.rms) if self.rms else float("inf"),
            len(x),
        )
