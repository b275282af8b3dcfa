"""Correlations between the latents of two SAEs over tokens, a strip at a time.

Latents are almost everywhere zero: sums over tokens of products f g are those of a sparse product,
in float64, and touch nothing else. Strips of a few latents of the first SAE against all of the
second are held, of their codes a few parts. Read `Correlations`.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from copy import copy
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array

from saeflow.measures.codes import StoredCodes
from saeflow.measures.codes.by_latent import ByLatent, starts_of
from saeflow.measures.codes.by_token import ByToken, scaled

_SUMS = 1 << 19  # formed at once: 4 MiB, which a core's cache has room for
_CELLS_PER_PAIR = 32  # of dense matrices, which are multiplied in the time of two sparse entries
_PAIRS_PER_SUM = 16  # in a block of tokens: else it takes longer to add up blocks
_BLOCK = 1 << 12  # tokens whose entries a core's cache has room for
_DENSE_ROWS = 1024
_ROUNDING = 1e-12  # of what is left of a sum of squares where a latent is the same on every token

warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")


class Moments(NamedTuple):
    """What a correlation takes of single latents.

    Attributes
    ----------
    scale : ndarray (n,) float64
        One over the root of the sum of squared deviations (of squares, where the mean is not taken
        off); 0 where there is none.
    mean : ndarray (n,) float64
        Mean over tokens times the root of their number, times the scale; 0 where it is not taken
        off.
    """

    scale: np.ndarray
    mean: np.ndarray


class Correlations:
    """Pearson correlations (n, m) of latents of two SAEs over the same tokens.

    Parameters
    ----------
    first, second
        Codes of the SAEs.
    latents : tuple of ndarray (n,) and (m,), optional
        Which of their latents; the live ones by default.
    n_tokens
        On how many tokens, from the first one on; all by default.
    centred
        Whether means are taken off; else cosines of activations, which are no correlations.

    Attributes
    ----------
    shape : tuple of int
        (n, m).

    Notes
    -----
    Of f and g over n tokens: (Σ f g − Σ f Σ g / n) / √((Σ f² − (Σ f)² / n)(Σ g² − (Σ g)² / n)); 0
    where a latent does not vary. Every sum goes token by token in float64, whatever the number of
    threads and the strips.
    """

    def __init__(
        self,
        first: StoredCodes,
        second: StoredCodes,
        *,
        latents: tuple[np.ndarray, np.ndarray] | None = None,
        n_tokens: int | None = None,
        centred: bool = True,
    ) -> None:
        self._codes = first, second
        self._latents = (first.live, second.live) if latents is None else latents
        self._n_tokens = min(n_tokens or first.n_tokens, first.n_tokens)
        self._options = {"n_tokens": n_tokens, "centred": centred}
        self.shape = len(self._latents[0]), len(self._latents[1])
        self._by_latent = [
            ByLatent(*both, self._n_tokens) for both in zip(self._codes, self._latents, strict=True)
        ]
        self._moments = [
            _moments(*both, self._n_tokens, centred)
            for both in zip(self._codes, self._latents, strict=True)
        ]
        self._moved: np.ndarray | None = None
        entries = np.prod([own.counts.sum() / self._n_tokens for own in self._by_latent])
        n_sums = np.prod(self.shape)
        self._dense = n_sums < _CELLS_PER_PAIR * entries
        n_blocks = entries * self._n_tokens // (_PAIRS_PER_SUM * n_sums)
        n_blocks = 1 if self._dense else min(n_blocks, self._n_tokens // _BLOCK)
        scale = self._moments[1].scale
        self._second = ByToken(second, self._latents[1], self._n_tokens, scale, int(n_blocks))
        self._held = threading.local()

    def tile(self, rows: slice, columns: slice) -> np.ndarray:
        """Return a part of the correlations, float32; threads may ask at once.

        It is a view of the strip of these rows, which is held for the thread that asks; where that
        asks for others, they are written in its place.
        """
        if getattr(self._held, "rows", None) != (rows.start, rows.stop):
            self._held.rows = None
            self._held.strip = self._strip(rows, getattr(self._held, "strip", None))
            self._held.rows = rows.start, rows.stop
        return self._held.strip[:, columns]

    def values(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the correlations of some pairs (k,), float64."""
        found = np.empty(len(rows))
        first, second = self._moments
        for part, f, g in self.pairs(rows, columns):
            i, j = rows[part], columns[part]
            both = f.multiply(g).sum(axis=1)
            found[part] = both * (first.scale[i] * second.scale[j]) - first.mean[i] * second.mean[j]
        return np.clip(found, -1.0, 1.0)

    def pairs(
        self, rows: np.ndarray, columns: np.ndarray
    ) -> Iterator[tuple[slice, csr_array, csr_array]]:
        """Yield which of some pairs (k,), and both latents of each, (n, n_tokens) float64."""
        counts = self._by_latent[0].counts[rows] + self._by_latent[1].counts[columns]
        borders = [*starts_of(counts).tolist(), len(rows)]
        for start, end in zip(borders[:-1], borders[1:], strict=True):
            part = slice(start, end)
            f, g = (
                own.chosen(places[part]).astype(np.float64)
                for own, places in zip(self._by_latent, (rows, columns), strict=True)
            )
            yield part, self._move(f), g

    def shuffled(self, seed: int) -> Correlations:
        """Return those with each token of one SAE exchanged with another: what chance gives."""
        return self._with(exchanged(self._n_tokens, seed))

    def part(self, rows: np.ndarray, columns: np.ndarray) -> Correlations:
        """Return the correlations between some latents, (len(rows), len(columns))."""
        latents = self._latents[0][rows], self._latents[1][columns]
        return Correlations(*self._codes, latents=latents, **self._options)._with(self._moved)

    def turned(self) -> Correlations:
        """Return the correlations with both sides exchanged, (m, n)."""
        codes, latents = self._codes[::-1], self._latents[::-1]
        return Correlations(*codes, latents=latents, **self._options)._with(self._moved)

    def by_group(self, rows: np.ndarray, columns: np.ndarray, borders: np.ndarray) -> np.ndarray:
        """Return the sums of products of some pairs by group of tokens.

        Parameters
        ----------
        rows, columns : ndarray (k,)
            The pairs.
        borders : ndarray (n_groups + 1,)
            The first token of each group, and the end.

        Returns
        -------
        ndarray (n_groups, k) float64
            Σ f g.
        """
        group = np.repeat(np.arange(len(borders) - 1), np.diff(borders))
        found = np.empty((len(borders) - 1, len(rows)))
        for part, f, g in self.pairs(rows, columns):
            found[:, part] = _grouped(f.multiply(g).tocsr(), group, len(borders) - 1)
        return found

    def _strip(self, rows: slice, strip: np.ndarray | None) -> np.ndarray:
        """Return some rows, (n, m) float32; in memory that was used before, where it fits."""
        shape = rows.stop - rows.start, self.shape[1]
        if strip is None or strip.shape != shape:
            strip = np.empty(shape, dtype=np.float32)
        scale, mean = (own[rows] for own in self._moments[0])
        latents = self._move(self._by_latent[0].consecutive(rows))
        latents = scaled(latents, np.repeat(scale, np.diff(latents.indptr)))
        borders = self._second.portions(np.diff(latents.indptr))
        for start, end in zip(borders[:-1], borders[1:], strict=True):
            own = slice(start, end)
            self._fill(strip[own], latents[own], mean[own])
        return strip

    def _fill(self, strip: np.ndarray, latents: csr_array, mean: np.ndarray) -> None:
        """Write the rows of some latents, (n, m), a few at a time."""
        terms = self._second.met(latents)
        product = _dense_product if self._dense else _sparse_product
        held = torch.zeros(len(strip) if len(terms) > 1 else 0, strip.shape[1], dtype=torch.float64)
        step = max(1, _SUMS // strip.shape[1])
        for number, (own, tokens) in enumerate(terms):
            part = self._second.matrix(tokens)
            for start in range(0, len(strip), step):
                few = slice(start, min(start + step, len(strip)))
                sums = product(_rows(own, few), part)
                if len(terms) > 1:
                    sums = held[few].add_(sums)
                if number == len(terms) - 1:
                    means = (torch.from_numpy(m) for m in (mean[few], self._moments[1].mean))
                    sums.addr_(*means, alpha=-1)
                    np.clip(sums.numpy(), -1.0, 1.0, out=strip[few], casting="same_kind")

    def _with(self, moved: np.ndarray | None) -> Correlations:
        """Return the same of tokens that were moved; what is read is read once for both."""
        found = copy(self)
        found._moved, found._held = moved, threading.local()  # noqa: SLF001
        return found

    def _move(self, latents: csr_array) -> csr_array:
        """Put the tokens of the first SAE's latents where the second's were moved from."""
        if self._moved is None:
            return latents
        places = self._moved[latents.indices]
        moved = csr_array((latents.data, places, latents.indptr), shape=latents.shape)
        return moved.T.tocsr().T.tocsr()  # in the order of tokens, much sooner than by sorting


def exchanged(n: int, seed: int) -> np.ndarray:
    """Return with which of n tokens each is exchanged, (n,) int32; the last of an odd n stays."""
    order = np.random.default_rng(seed).permutation(n).astype(np.int32)
    one, other = order[0 : n - n % 2 : 2], order[1::2]
    found = np.arange(n, dtype=np.int32)
    found[one], found[other] = other, one
    return found


def _moments(codes: StoredCodes, latents: np.ndarray, n_tokens: int, centred: bool) -> Moments:
    if n_tokens == codes.n_tokens:
        total, square = (codes.latents[name].to_numpy()[latents] for name in ("sum", "square"))
    else:
        values = codes.matrix(latents, slice(n_tokens)).astype(np.float64)
        total, square = values.sum(axis=0), values.power(2).sum(axis=0)
    mean = total / np.sqrt(n_tokens) * centred
    spread = square - mean**2
    varies = spread > _ROUNDING * square
    scale = np.zeros(len(latents))
    scale[varies] = 1 / np.sqrt(spread[varies])
    return Moments(scale, mean * scale)


def _sparse_product(first: csr_array, second: csr_array) -> torch.Tensor:
    """Return the product of two sparse matrices (n, k) and (k, m), (n, m) float64."""
    if not torch.backends.mkl.is_available():
        return torch.from_numpy((first @ second).toarray())
    # three times as fast as SciPy's, to the same bits
    sums = torch.empty(first.shape[0], second.shape[1], dtype=torch.float64)
    operands = (
        torch.sparse_csr_tensor(
            *map(torch.from_numpy, (m.indptr, m.indices, m.data)), m.shape, check_invariants=False
        )
        for m in (first, second)
    )
    return torch.addmm(sums, *operands, beta=0.0, out=sums)


def _rows(matrix: csr_array, rows: slice) -> csr_array:
    """Return some rows, without a copy."""
    start, end = matrix.indptr[[rows.start, rows.stop]]
    offsets = matrix.indptr[rows.start : rows.stop + 1] - start
    parts = matrix.data[start:end], matrix.indices[start:end], offsets
    return csr_array(parts, shape=(rows.stop - rows.start, matrix.shape[1]))


def _dense_product(first: csr_array, second: csr_array) -> torch.Tensor:
    """Return the same of matrices with so many entries that zeros are no burden."""
    sums = torch.zeros(first.shape[0], second.shape[1], dtype=torch.float64)
    by_column = first.T.tocsr()
    for start in range(0, first.shape[1], _DENSE_ROWS):
        own = slice(start, start + _DENSE_ROWS)
        f, g = (torch.from_numpy(matrix[own].toarray()) for matrix in (by_column, second))
        sums.addmm_(f.T, g)
    return sums


def _grouped(values: csr_array, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Return sums (n_groups, n) of values (n, n_tokens) over the tokens of each group."""
    n = values.shape[0]
    row = np.repeat(np.arange(n), np.diff(values.indptr))
    place = group[values.indices] * n + row
    return np.bincount(place, weights=values.data, minlength=n_groups * n).reshape(n_groups, n)
