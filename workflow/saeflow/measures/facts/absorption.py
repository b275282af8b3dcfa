"""Linear probes for facts, and tokens on which a fact's latents are silent and another stands in.

Absorption after Chanin et al. 2024 ("A is for absorption"), in the form of SAEBench (Karvonen et
al. 2025) that needs no ablation. A token of a fact is absorbed if

    the probe finds the fact there,
    all latents that tell the fact (`saeflow.measures.facts.detectors.detectors`) are silent, and
    another latent i is active with cos(W_dec_i, p) >= .025 and f_i <W_dec_i, p> >= .4 <x - m, p>

where p is the probe's direction, of length 1, and m the mean of x. SAEBench takes <x, p>; the mean
is taken off here, since activations of a residual stream lie far from the origin, and what all
tokens have in common tells no fact. Read `fit_probes` and `Absorption`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from saeflow.measures.facts.detectors import best_threshold

LEAST_COSINE = 0.025
LEAST_SHARE = 0.4
_RIDGE = 1e-3  # of the variance of a standardised coordinate
_BLOCK_ROWS = 4096
_SMALLEST = np.finfo(np.float64).tiny


class Probes(NamedTuple):
    """A linear probe for each fact.

    Attributes
    ----------
    mean : ndarray (d_in,) float64
        Of the rows that they were fitted to.
    directions : ndarray (d_in, n_facts) float64
        Unit vectors.
    thresholds : ndarray (n_facts,) float64
        A probe finds its fact where its score is above; those with the highest F1 on the same rows.
    """

    mean: np.ndarray
    directions: np.ndarray
    thresholds: np.ndarray

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return <x - mean, p> of rows (n, d_in) float32 for each fact, (n_facts, n) float64."""
        with threadpool_limits(1):
            parts = [self.directions.T @ (block - self.mean).T for _, block in _blocks(x)]
        return np.concatenate(parts, axis=1)

    def find(self, scores: np.ndarray) -> np.ndarray:
        """Return where scores (n_facts, n) say that facts hold."""
        return scores > self.thresholds[:, None]


def fit_probes(x: np.ndarray, holds: sparse.csr_array) -> Probes:
    """Fit each fact by least squares on standardised activations, with a weak ridge.

    The direction is that of linear discriminant analysis, (S + ridge)^-1 (m_fact - m), and has a
    closed form, which one factorisation gives for all facts. ``x`` is (n, d_in) float32; ``holds``
    (n_facts, n) float64 is 1 where a fact holds.
    """
    n, d_in = x.shape
    by_token = holds.T.tocsr()
    with threadpool_limits(1):
        mean = sum(block.sum(axis=0) for _, block in _blocks(x)) / n
        products, together = np.zeros((d_in, d_in)), np.zeros((d_in, holds.shape[0]))
        for rows, block in _blocks(x):
            products += (block - mean).T @ (block - mean)
            together += (by_token[rows].T @ (block - mean)).T
        scale = np.sqrt(np.diag(products / n).clip(min=_SMALLEST))
        standard = products / n / np.outer(scale, scale) + _RIDGE * np.eye(d_in)
        directions = np.linalg.solve(standard, together / n / scale[:, None]) / scale[:, None]
    directions /= np.linalg.norm(directions, axis=0).clip(min=_SMALLEST)
    probes = Probes(mean, directions, np.zeros(holds.shape[0]))
    pairs = zip(probes.scores(x), holds.toarray() > 0, strict=True)
    return probes._replace(thresholds=np.array([_threshold(*pair) for pair in pairs]))


def _threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the threshold of scores (n,) with the highest F1 for labels (n,)."""
    order = np.argsort(-scores, kind="stable")
    return best_threshold(scores[order], labels[order], int(labels.sum()), lowest=-np.inf)[0]


class Absorption:
    """Latents of an SAE that stand in for those of a fact.

    Parameters
    ----------
    codes : csr_array (n, d_sae)
        Activations, in units in which ``W_dec`` makes shares of x of them.
    W_dec : ndarray (d_sae, d_in) float64
    directions : ndarray (d_in, n_facts) float64
        Of the probes.
    """

    def __init__(self, codes: sparse.csr_array, W_dec: np.ndarray, directions: np.ndarray) -> None:
        self._codes, self._projections = codes, W_dec @ directions
        lengths = np.linalg.norm(W_dec, axis=1, keepdims=True).clip(min=_SMALLEST)
        self._aligned = self._projections / lengths >= LEAST_COSINE

    def of(self, fact: int, tokens: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return which tokens are absorbed, and by which latent: the one that gives most.

        ``tokens`` (m,) are those on which the probe of ``fact`` finds it and all its latents are
        silent, ``scores`` (m,) float64 the <x - m, p> of each.
        """
        codes = self._codes[tokens]
        row = np.repeat(np.arange(len(tokens)), np.diff(codes.indptr))
        latent, share = codes.indices, codes.data * self._projections[codes.indices, fact]
        enough = (share >= LEAST_SHARE * scores[row]) & (scores[row] > 0)
        enough &= self._aligned[latent, fact]
        row, latent, share = row[enough], latent[enough], share[enough]
        order = np.lexsort((latent, -share, row))
        rows, first = np.unique(row[order], return_index=True)
        return tokens[rows], latent[order][first]


def _blocks(x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield parts of the rows in float64, so that no copy of all is made."""
    for start in range(0, len(x), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        yield rows, x[rows].astype(np.float64)
