"""Latents as detectors of facts: which tells a fact best, from which activation on, and with which.

A detector fires on a token where its latent's activation is above a threshold. What is chosen is
chosen on tokens of its own, see `saeflow.measures.facts.measure`. Read `detectors`.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse

LEAST_GAIN = 0.03
"""Of F1, for one more latent to belong to a fact: the threshold by which Chanin et al. 2024 ("A is
for absorption") tell that a feature is split."""

_BY_F1, _BY_CORRELATION = 4, 16


class Detector(NamedTuple):
    """A latent that tells a fact, or adds to others that do.

    Attributes
    ----------
    latent : int
    threshold : float
        It fires where its activation is larger.
    f1 : float
        With all detectors before it, on the tokens on which they were chosen.
    """

    latent: int
    threshold: float
    f1: float


class Latents:
    """The activations of latents on some tokens, and the facts that hold there.

    Parameters
    ----------
    codes : csr_array (n_tokens, d_sae) float64
        Activations, all above zero.
    holds : csr_array (n_facts, n_tokens) float64
        1 where a fact holds.

    Attributes
    ----------
    labels : ndarray (n_facts, n_tokens) bool
        Where each fact holds.
    """

    def __init__(self, codes: sparse.csr_array, holds: sparse.csr_array) -> None:
        self._codes, self._holds, self.labels = codes, holds, holds.toarray() > 0
        self._by_latent = codes.tocsc()
        self._falling: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @cached_property
    def f1(self) -> np.ndarray:
        """F1 of each latent that fires where it is active at all, (n_facts, d_sae)."""
        active = sparse.csr_array(
            (np.ones(self._codes.nnz), self._codes.indices, self._codes.indptr), self._codes.shape
        )
        hits, fired = (self._holds @ active).toarray(), active.sum(axis=0)
        return f1_of(hits, fired, self._holds.sum(axis=1)[:, None])

    @cached_property
    def correlation(self) -> np.ndarray:
        """Pearson's r of each fact with each latent's activation, (n_facts, d_sae)."""
        n, codes = self._codes.shape[0], self._codes
        mean, share = codes.sum(axis=0) / n, self._holds.sum(axis=1)[:, None] / n
        variance = codes.multiply(codes).sum(axis=0) / n - mean**2
        together = (self._holds @ codes).toarray() / n - share * mean
        spread = np.sqrt(variance.clip(min=0) * share * (1 - share))
        return np.divide(together, spread, out=np.zeros_like(together), where=spread > 0)

    @cached_property
    def candidates(self) -> list[list[int]]:
        """For each fact the latents that may tell it.

        Those with the highest F1 where they fire when active at all, and those whose activation
        correlates most with the fact: a neuron that is always active can tell a fact too, and so
        can a latent that is often active weakly.
        """
        by_f1 = np.argsort(-self.f1, axis=1, kind="stable")[:, :_BY_F1]
        by_r = np.argsort(-self.correlation, axis=1, kind="stable")[:, :_BY_CORRELATION]
        return [list(dict.fromkeys(own)) for own in np.hstack([by_f1, by_r]).tolist()]

    def of(self, latent: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens on which a latent is active, and its activations."""
        own = slice(*self._by_latent.indptr[latent : latent + 2])
        return self._by_latent.indices[own], self._by_latent.data[own]

    def falling(self, latent: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the same with the largest activation first."""
        if latent not in self._falling:
            tokens, values = self.of(latent)
            order = np.argsort(-values)  # the order of equal ones does not matter
            self._falling[latent] = tokens[order], values[order]
        return self._falling[latent]

    def fires(self, latent: int, threshold: float = 0.0) -> np.ndarray:
        """Return on which tokens a latent's activation is above a threshold, (n_tokens,) bool."""
        fired = np.zeros(self._codes.shape[0], dtype=bool)
        tokens, values = self.of(latent)
        fired[tokens[values > threshold]] = True
        return fired


def detectors(latents: Latents, fact: int) -> list[Detector]:
    """Return the latents that tell a fact together, with their thresholds, the best alone first.

    Begins with the latent and threshold of the highest F1 and adds, one at a time, those that raise
    the F1 of firing where any of them fires most, as long as by `LEAST_GAIN`.
    """
    labels, candidates = latents.labels[fact], latents.candidates[fact]
    n_positive, found = int(labels.sum()), []
    covered = np.zeros(len(labels), dtype=bool)
    while True:
        hits, fired = int(labels[covered].sum()), int(covered.sum())
        best = Detector(-1, 0.0, -1.0)
        for latent in candidates:
            tokens, values = latents.falling(latent)
            if found:
                free = ~covered[tokens]
                tokens, values = tokens[free], values[free]
            before = {"hits": hits, "fired": fired}
            one = best_threshold(values, labels[tokens], n_positive, lowest=0.0, **before)
            if one[1] > best.f1:
                best = Detector(latent, *one)
        if found and best.f1 < found[-1].f1 + LEAST_GAIN:
            return found
        found.append(best)
        covered |= latents.fires(best.latent, best.threshold)


def best_threshold(
    falling: np.ndarray,
    labels: np.ndarray,
    n_positive: int,
    *,
    lowest: float,
    hits: int = 0,
    fired: int = 0,
) -> tuple[float, float]:
    """Return the threshold with the highest F1 of what fires above it, and this F1.

    Parameters
    ----------
    falling, labels : ndarray (n,)
        Of the tokens that can fire: numbers from the largest on, and whether the fact holds.
    n_positive
        Tokens of which the fact holds, also where it cannot fire.
    lowest
        The threshold with which all of them fire.
    hits, fired
        Tokens that fire anyway, with and without the fact.
    """
    if not len(falling):
        return lowest, float(f1_of(hits, fired, n_positive))
    f1 = f1_of(hits + np.cumsum(labels), fired + np.arange(1, len(falling) + 1), n_positive)
    last = np.append(falling[1:] < falling[:-1], True)  # of equal values all fire or none does
    best = int(np.argmax(np.where(last, f1, -1.0)))
    below = falling[best + 1] if best + 1 < len(falling) else lowest
    threshold = (falling[best] + below) / 2 if np.isfinite(below) else below
    return float(threshold), float(f1[best])


def auc(values: np.ndarray, labels: np.ndarray, n_positive: int, n: int) -> float:
    """Return how often a token of a fact has a larger activation than another; ties count half.

    ``values`` (n_active,) are activations above zero, ``labels`` whether the fact holds there. Of
    the ``n`` tokens it holds of ``n_positive``; the others have an activation of zero.
    """
    _, place = np.unique(values, return_inverse=True)
    held, others = (np.bincount(place[own], minlength=len(values) + 1) for own in (labels, ~labels))
    below = n - n_positive - others.sum() + np.cumsum(others) - others
    above = (held * (below + others / 2)).sum()
    silent = (n_positive - held.sum()) * (n - n_positive - others.sum()) / 2
    return float((above + silent) / (n_positive * (n - n_positive)))


def f1_of(hits: np.ndarray, fired: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the harmonic mean of precision and recall, 2 hits / (fired + positive)."""
    return 2 * hits / (fired + positive)
