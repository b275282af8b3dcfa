"""The decoder-side methods in closed form: ridge regression toward the parent.

Each method minimises, over its own parameters,

    sum over tokens |x_hat - x|^2  +  tau v sum over latents |change of w_i|^2

where w_i is what multiplies f_i, and v the mean square of an active latent: ``tau`` is the number
of activations that the parent's value is worth. A ridge toward zero instead would shrink rare
latents, which is the suppression that fine-tuning is to cure. Latents that were never active keep
their parent's row; so does, at ``tau`` = 0, every combination of latents that the tokens do not
determine (the solution nearest to the parent is taken).

Read `solve` and `choose_ridge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import linalg

from saeflow.errors import ConfigError
from saeflow.finetune.normal import NormalEquations

# Directions with less than this share of the largest eigenvalue are not determined by the data.
_CUTOFF = 1e-12
# Share of what fine-tuning gains on the validation documents that is given up for a solution nearer
# to the parent. They are of the training text: on another one a latent that was rare and weak there
# can be frequent, and a gain of no weight there decide. (stories260K after block 0, fitted to
# lower-cased stories: the least validation error had rows 170 times as long as the parent's, and an
# FVU of .48 on cased stories, where the parent has .12.)
_GIVEN_UP = 0.01


class Decoder(NamedTuple):
    """What turns codes into x_hat = f W_dec + b_dec, (d_sae, d_in) and (d_in,), in float64."""

    W_dec: np.ndarray
    b_dec: np.ndarray


class _Problem:
    """What a method minimises, made ready for any strength of the ridge toward a parent."""

    def __init__(self, sums: NormalEquations, parent: Decoder) -> None:
        self._sums, self._parent = sums, parent
        n_active = int(sums.active.sum())
        self._mean_square = float(sums.G.diagonal().sum()) / n_active if n_active else 0.0
        self._gram, self._change, self._size = self._equations()
        self._diagonal = self._gram.diagonal().copy()

    def _equations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return A, B and c of (A + tau v diag(c)) change = B."""
        raise NotImplementedError

    def _decoder(self, change: np.ndarray) -> Decoder:
        """Return the decoder that a change of the parameters makes of the parent."""
        raise NotImplementedError

    def solve(self, tau: float) -> Decoder:
        """Return the best decoder under a ridge of this strength."""
        if tau < 0:
            raise ConfigError("the ridge is negative", expected="0 or more", got=tau)
        ridge = tau * self._mean_square * self._size
        return self._decoder(self._ridged(ridge) if ridge.any() else self._least_norm())

    def _ridged(self, ridge: np.ndarray) -> np.ndarray:
        """Solve with a ridge; rows without data and without a ridge get zero."""
        diagonal = self._diagonal + ridge
        diagonal[diagonal <= 0] = 1.0
        self._gram[np.diag_indices_from(self._gram)] = diagonal
        # by torch: SciPy's threads and torch's would take the cores from one another
        factor = torch.linalg.cholesky(torch.from_numpy(self._gram))
        columns = torch.from_numpy(self._change).reshape(len(diagonal), -1)
        return torch.cholesky_solve(columns, factor).numpy().reshape(self._change.shape)

    def _least_norm(self) -> np.ndarray:
        """Solve without a ridge: the smallest change of those that are best."""
        self._gram[np.diag_indices_from(self._gram)] = self._diagonal
        values, vectors = linalg.eigh(self._gram, check_finite=False)
        kept = values > _CUTOFF * max(values[-1], 0.0)
        vectors = vectors[:, kept]
        scaled = (vectors.T @ self._change).T / values[kept]
        return vectors @ scaled.T


class _Scale(_Problem):
    """A factor s per latent: sum_j G_ij (w_i . w_j) s_j = sum_t f_ti w_i . (x_t - b_dec)."""

    def _equations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        W, b = self._parent
        right = np.einsum("ij,ij->i", self._sums.C, W) - self._sums.f * (W @ b)
        return self._factors(self._sums.G.copy(), right)

    def _factors(
        self, gram: np.ndarray, right: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the equations of the factors' distance from one; ``gram`` is overwritten."""
        W = self._parent.W_dec
        gram *= W @ W.T
        return gram, right - gram.sum(1), np.einsum("ij,ij->i", W, W)

    def _decoder(self, change: np.ndarray) -> Decoder:
        W, b = self._parent
        return Decoder((1 + change)[:, None] * W, b)


class _UnrotatedDecoder(_Scale):
    """The factors, with the bias that is best for each, which centres all sums."""

    def _equations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        right = np.einsum("ij,ij->i", _centred_products(self._sums), self._parent.W_dec)
        return self._factors(_centred_gram(self._sums), right)

    def _decoder(self, change: np.ndarray) -> Decoder:
        W = super()._decoder(change).W_dec
        return Decoder(W, _best_bias(self._sums, W))


class _Decoder(_Problem):
    """The linear regression of x on (f, 1)."""

    def _equations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gram = _centred_gram(self._sums)
        change = _centred_products(self._sums) - gram @ self._parent.W_dec
        return gram, change, np.ones(len(gram))

    def _decoder(self, change: np.ndarray) -> Decoder:
        W = self._parent.W_dec + change
        return Decoder(W, _best_bias(self._sums, W))


_PROBLEMS = {"scale": _Scale, "unrotated_decoder": _UnrotatedDecoder, "decoder": _Decoder}
METHODS = tuple(_PROBLEMS)
"""The methods that have a closed form."""


def _centred_gram(sums: NormalEquations) -> np.ndarray:
    """Return G about the mean code, (d_sae, d_sae)."""
    gram = np.outer(sums.f, sums.f)
    gram *= -1 / sums.n
    gram += sums.G
    return gram


def _centred_products(sums: NormalEquations) -> np.ndarray:
    """Return C about the mean activation, (d_sae, d_in)."""
    return sums.C - np.outer(sums.f, sums.x / sums.n)


def _best_bias(sums: NormalEquations, W_dec: np.ndarray) -> np.ndarray:
    """Return the bias with the least error given the rest: what is left on average."""
    return (sums.x - sums.f @ W_dec) / sums.n


def solve(method: str, sums: NormalEquations, parent: Decoder, tau: float) -> Decoder:
    """Return the best decoder that a method can reach under a ridge of ``tau`` activations.

    The methods are "scale" (a factor per latent), "unrotated_decoder" (the same and the bias) and
    "decoder" (directions, sizes and the bias).
    """
    return _problem(method, sums, parent).solve(tau)


def _problem(method: str, sums: NormalEquations, parent: Decoder) -> _Problem:
    if method not in _PROBLEMS:
        raise ConfigError(
            "this method has no closed form", expected=" | ".join(METHODS), got=method
        )
    return _PROBLEMS[method](sums, parent)


class Choice(NamedTuple):
    """The ridge that the validation documents want, and the solution with it.

    Also the mean squared error per activation and dimension on those documents, by strength.
    """

    ridge: float
    decoder: Decoder
    errors: dict[float, float]


def choose_ridge(
    method: str,
    train: NormalEquations,
    validation: NormalEquations,
    parent: Decoder,
    strengths: Sequence[float],
) -> Choice:
    """Solve with the strongest ridge that keeps 99 % of what the best one gains.

    The gain is that of the parent's error on the validation documents. What is left of it says
    little, and of solutions alike the nearest to the parent is taken.
    """
    problem = _problem(method, train, parent)
    n_values = validation.n * len(parent.b_dec)
    before = validation.squared_error(*parent) / n_values
    errors: dict[float, float] = {}
    alike: dict[float, Decoder] = {}
    for tau in sorted(strengths):
        alike[tau] = problem.solve(tau)
        errors[tau] = validation.squared_error(*alike[tau]) / n_values
        least = min(errors.values())
        most = least + _GIVEN_UP * max(0.0, before - least)
        alike = {tau: found for tau, found in alike.items() if errors[tau] <= most}
    ridge = max(alike)
    return Choice(ridge, alike[ridge], errors)
