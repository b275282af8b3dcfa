"""Stored codes token by token, in float64: on all tokens, or where other latents are active.

Read `ByToken`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from threading import Lock

import numpy as np
from scipy.sparse import csr_array

from saeflow.measures.codes import StoredCodes
from saeflow.measures.codes.by_latent import MOST_ENTRIES, starts_of


class ByToken:
    """Latents of an SAE on its first ``n_tokens``, token by token, each times a factor.

    All are held where they have few entries, and met in ``n_blocks`` of consecutive tokens; else
    what is needed is read each time.
    """

    def __init__(
        self,
        codes: StoredCodes,
        latents: np.ndarray,
        n_tokens: int,
        scale: np.ndarray,
        n_blocks: int = 1,
    ) -> None:
        self._codes, self._latents, self._scale = codes, latents, scale
        self._borders = np.linspace(0, n_tokens, max(n_blocks, 1) + 1).astype(int).tolist()
        self._counts = np.diff(codes.offsets[: n_tokens + 1])
        self._n_entries = int(self._counts.sum())
        self._whole = lru_cache(1)(lambda: self._read(slice(n_tokens)))
        self._lock = Lock()

    def portions(self, counts: np.ndarray) -> list[int]:
        """Return borders of as many latents as it is good to go through at once.

        ``counts`` (n,) are the tokens on which each of n consecutive latents of another SAE is
        active.
        """
        if self._n_entries <= MOST_ENTRIES:
            return [0, len(counts)]
        most = counts * -(-self._n_entries // len(self._counts))
        return [*starts_of(2 * most).tolist(), len(counts)]

    def met(self, latents: csr_array) -> list[tuple[csr_array, slice | np.ndarray]]:
        """Return on which tokens these are where latents (n, n_tokens) of another SAE are active.

        Parts of the others on some tokens, (n, n_some), and which these are, for `matrix`.
        """
        if self._n_entries <= MOST_ENTRIES:
            blocks = [slice(*ends) for ends in pairwise(self._borders)]
            if len(blocks) == 1:
                return [(latents, blocks[0])]
            by_token = latents.T.tocsr()
            return [(by_token[block].T.tocsr(), block) for block in blocks]
        there = np.zeros(len(self._counts), dtype=bool)
        there[latents.indices] = True
        tokens, place = np.flatnonzero(there), np.cumsum(there, dtype=np.int32) - 1
        parts = latents.data, place[latents.indices], latents.indptr
        met = csr_array(parts, shape=(latents.shape[0], len(tokens)))
        borders = [*starts_of(self._counts[tokens]).tolist(), len(tokens)]
        if len(borders) <= 2:
            return [(met, tokens)]
        return [(met[:, start:end], tokens[start:end]) for start, end in pairwise(borders)]

    def matrix(self, tokens: slice | np.ndarray) -> csr_array:
        """Return the latents on some tokens that `met` gave, (n, m) float64."""
        if isinstance(tokens, np.ndarray):
            return self._read(tokens)
        with self._lock:  # the other thread would read the same
            whole = self._whole()
        return whole if len(self._borders) == 2 else whole[tokens]

    def _read(self, tokens: slice | np.ndarray) -> csr_array:
        found = self._codes.matrix(self._latents, tokens)
        return scaled(found, self._scale[found.indices])


def scaled(matrix: csr_array, factors: np.ndarray) -> csr_array:
    """Return a matrix with each entry times a factor, float64."""
    return csr_array((matrix.data * factors, matrix.indices, matrix.indptr), shape=matrix.shape)
