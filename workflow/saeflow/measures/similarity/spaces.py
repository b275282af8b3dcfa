"""How alike the arrangement of matched latents is, whatever basis each SAE's space has.

All three compare the decoder rows of latents that are matched by their activations, row by row, and
do not change when one space is rotated: linear CKA (Kornblith et al. 2019, Similarity of neural
network representations revisited), SVCCA (Raghu et al. 2017) and representational similarity
analysis (Kriegeskorte et al. 2008); Lan et al. 2024, Sparse autoencoders reveal universal feature
spaces, applied the last two to SAEs. Read `compare_spaces`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from saeflow.measures.similarity.cosines import unit

LEAST = 8
"""Matched latents below which nothing is said of their arrangement."""

KEPT_VARIANCE = 0.99
"""Share of the variance that SVCCA keeps of each side, as its authors did."""

_PAIRINGS = 32
_RSA_LATENTS = 1024


def compare_spaces(
    first: np.ndarray, second: np.ndarray, *, seed: int
) -> tuple[dict[str, float], dict[str, str]]:
    """Compare the arrangement of matched directions, and of randomly paired ones.

    Parameters
    ----------
    first, second
        Directions of length 1, (n, d) and (n, d_other); row i of one belongs to row i of the other.
    seed
        Of random pairings.

    Returns
    -------
    facts : dict
        "matched", n; and of cka, svcca and rsa the value, and with "_null" and "_null_sd" mean and
        standard deviation over random pairings of the same rows.
    left_out : dict
        Which of the three are missing, and why.
    """
    n = len(first)
    facts: dict[str, Any] = {"matched": n}
    if n < LEAST:
        why = f"{n} latents are each other's best match; {LEAST} are needed"
        return facts, dict.fromkeys(("cka", "svcca", "rsa"), why)
    made, left_out = {"cka": _Cka(first, second), "rsa": _Rsa(first, second)}, {}
    bases = _basis(first), _basis(second)
    k = [base.shape[1] for base in bases]
    if sum(k) < n:
        made["svcca"] = _Svcca(*bases)
    else:
        left_out["svcca"] = (
            f"{n} matched latents span so few dimensions that any {k[0]} and {k[1]} directions"
            " have some in common"
        )
    for name, compared in made.items():
        values = [compared(order) for order in _pairings(compared.n, seed)]
        facts |= {
            name: compared(np.arange(compared.n)),
            f"{name}_null": float(np.mean(values)),
            f"{name}_null_sd": float(np.std(values, ddof=1)),
        }
    return facts, left_out


def cka(first: np.ndarray, second: np.ndarray) -> float:
    """Return the linear CKA of two matrices with n rows: 1 for one that is rotated and scaled."""
    return _Cka(first, second)(np.arange(len(first)))


def svcca(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean canonical correlation of the main directions of two matrices with n rows."""
    return _Svcca(_basis(first), _basis(second))(np.arange(len(first)))


def rsa(first: np.ndarray, second: np.ndarray) -> float:
    """Return the rank correlation of the cosines between rows of one matrix and of the other."""
    compared = _Rsa(first, second)
    return compared(np.arange(compared.n))


def _pairings(n: int, seed: int) -> Iterator[np.ndarray]:
    """Yield random orders, each followed by its inverse: the same for second against first."""
    rng = np.random.default_rng([seed, 4])
    for _ in range(_PAIRINGS // 2):
        order = rng.permutation(n)
        yield order
        yield np.argsort(order)


def _centred(rows: np.ndarray) -> np.ndarray:
    wide = np.asarray(rows, dtype=np.float64)
    return wide - wide.mean(axis=0)


class _Cka:
    """|X^T Y|^2 / (|X^T X| |Y^T Y|) of centred matrices, Frobenius norms."""

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        self.n, self._x, self._y = len(first), _centred(first), _centred(second)
        self._below = np.prod([np.linalg.norm(one.T @ one) for one in (self._x, self._y)])

    def __call__(self, order: np.ndarray) -> float:
        return float(np.linalg.norm(self._x.T @ self._y[order]) ** 2 / self._below)


def _basis(rows: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis (n, k) of the main directions among n rows."""
    left, strength, _ = np.linalg.svd(_centred(rows), full_matrices=False)
    shares = np.cumsum(strength**2) / np.sum(strength**2)
    return left[:, : int(np.searchsorted(shares, KEPT_VARIANCE)) + 1]


class _Svcca:
    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        self.n, self._first, self._second = len(first), first, second

    def __call__(self, order: np.ndarray) -> float:
        inner = self._first.T @ self._second[order]
        return float(np.linalg.svd(inner, compute_uv=False).mean())


class _Rsa:
    """Of many rows a part is compared, evenly taken: their cosines go by the square."""

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        self.n = min(len(first), _RSA_LATENTS)
        some = np.linspace(0, len(first) - 1, self.n).round().astype(int)
        self._first, self._second = _ranks(first[some]), _ranks(second[some])
        self._below = np.linalg.norm(self._first) * np.linalg.norm(self._second)

    def __call__(self, order: np.ndarray) -> float:
        return float(np.vdot(self._first, self._second[np.ix_(order, order)]) / self._below)


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Return the ranks of the cosines between rows, their mean taken off, (n, n); 0 for its own."""
    from scipy.stats import rankdata

    wide = unit(rows).astype(np.float64)
    above = np.triu_indices(len(wide), 1)
    ranks = np.zeros((len(wide), len(wide)))
    ranks[above] = rankdata((wide @ wide.T)[above])
    ranks[above] -= ranks[above].mean()
    return ranks + ranks.T
