"""The fingerprint of a hook: the spread of its activations, to tell it from another's.

Two hooks of a model, or the same hook of two models, can have the same width, so an SAE runs on
either without complaint. Their spreads over the dimensions differ; `Fingerprint.distance` says by
how much. `saeflow.sae.saved.fits` holds every SAE that is read against the activations it is used
on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from saeflow.activations.reader import Store

# The distance of other activations at the same hook of stories260K was at most 0.12 for texts of
# the same kind and 0.25 for web pages, at any other hook of the 15 at least 0.196.
TOLERANCE = 0.15
_LEAST_SPREAD = 1e-6  # of the largest dimension: one that does not vary has no logarithm


class Fingerprint(NamedTuple):
    """How far the rows of a hook that are not excluded spread: std (d,), of ``n_rows`` rows."""

    std: np.ndarray
    n_rows: int

    @classmethod
    def of(cls, store: Store) -> Fingerprint:
        """Return the fingerprint of a store's hook; of live activations, that of their sample."""
        live = store.record.get("live")
        n_rows = live["sample"]["rows"] if live else store.record["n_included_rows"]
        return cls(store.std, n_rows)

    @classmethod
    def of_rows(cls, x: np.ndarray) -> Fingerprint:
        """Return the fingerprint of activations ``x`` (n, d); leave special tokens out."""
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or not len(x):
            raise ValueError(f"rows of activations (n, d) are needed; got {x.shape}")
        return cls(x.std(0), len(x))

    def distance(self, other: Fingerprint) -> float:
        """Return how unlike two fingerprints of one width are.

        That is the root mean square over the dimensions of log(std / other.std): 0 where they are
        equal, 0.1 where they differ by a tenth.
        """
        if len(self.std) != len(other.std):
            raise ValueError(f"fingerprints of widths {len(self.std)} and {len(other.std)}")
        return float(np.sqrt(np.mean(np.square(_log(self.std) - _log(other.std)))))

    def limit(self, other: Fingerprint) -> float:
        """Return the distance up to which both can be of the same hook of the same model.

        That of other text of the same kind, and what few rows add: the standard deviation of n
        independent rows has a relative error of (2 n)**-0.5.
        """
        return TOLERANCE + (0.5 / max(self.n_rows, 1) + 0.5 / max(other.n_rows, 1)) ** 0.5

    def alike(self, other: Fingerprint) -> bool:
        """Whether both can be of the same hook of the same model."""
        return self.distance(other) <= self.limit(other)


def _log(std: np.ndarray) -> np.ndarray:
    std = np.asarray(std, np.float64)
    return np.log(np.maximum(std, _LEAST_SPREAD * std.max() or 1.0))
