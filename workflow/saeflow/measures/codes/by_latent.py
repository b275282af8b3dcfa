"""Stored codes latent by latent, as many at a time as fit in little memory.

Files hold them token by token. Read `ByLatent`.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock

import numpy as np
from scipy.sparse import csr_array, vstack

from saeflow.measures.codes import StoredCodes

MOST_ENTRIES = 1 << 23
"""Entries that are read at once: 64 MiB."""

_GROUPS = 2


class ByLatent:
    """Latents of an SAE, each with its tokens; threads may ask at once.

    Consecutive ones are read together, and stay until others are read. Of the tokens only the first
    ``n_tokens`` count; ``counts`` (n,) int64 are those, of all, on which each latent is active.
    """

    def __init__(self, codes: StoredCodes, latents: np.ndarray, n_tokens: int) -> None:
        self._codes, self._latents, self._n_tokens = codes, latents, n_tokens
        self.counts = codes.latents["active"].to_numpy()[latents]
        self._starts = starts_of(self.counts)
        self._group = lru_cache(_GROUPS)(self._read_group)
        self._lock = Lock()

    def consecutive(self, places: slice) -> csr_array:
        """Return the latents in some places, (n, n_tokens) float32."""
        first, last = np.searchsorted(self._starts, (places.start, places.stop - 1), "right") - 1
        parts = []
        for group in range(first, last + 1):
            start = self._starts[group]
            own = slice(max(places.start - start, 0), places.stop - start)
            parts.append(self._shared(group)[own])
        return parts[0] if len(parts) == 1 else vstack(parts, format="csr")

    def chosen(self, places: np.ndarray) -> csr_array:
        """Return the latents in any places, also several times, (n, n_tokens) float32."""
        if len(self._starts) == 1:
            return self._shared(0)[places]
        each, again = np.unique(places, return_inverse=True)
        return self._read(self._latents[each])[again]

    def _shared(self, group: int) -> csr_array:
        with self._lock:  # the other thread would read the same
            return self._group(group)

    def _read_group(self, group: int) -> csr_array:
        own = slice(*[*self._starts, len(self._latents)][group : group + 2])
        return self._read(self._latents[own])

    def _read(self, latents: np.ndarray) -> csr_array:
        return self._codes.matrix(latents, slice(self._n_tokens)).T.tocsr()


def starts_of(counts: np.ndarray) -> np.ndarray:
    """Return where groups of consecutive things begin that have `MOST_ENTRIES` together, or one."""
    ends = np.cumsum(counts)
    return np.flatnonzero(np.diff((ends - counts // 2) // MOST_ENTRIES, prepend=-1))
