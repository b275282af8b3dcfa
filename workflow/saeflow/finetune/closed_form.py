"""The decoder-side methods in closed form: ridge regression toward the parent.

Each method minimises, over its own parameters,

    sum over tokens |x_hat - x|^2  +  tau v sum over latents |change of w_i|^2

where w_i is what multiplies f_i, and v the mean square of an active latent: ``tau`` is the number
of activations that the parent's value is worth. A ridge toward zero instead would shrink rare
latents, which is the suppression that fine-tuning is to cure. Latents that were never active keep
their parent's row; so does, at ``tau`` = 0, every combination of latents that the tokens do not
determine (the solution nearest to the parent is taken).

Read `solve`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from scipy import linalg

from saeflow.errors import ConfigError
from saeflow.finetune.normal import NormalEquations

# Directions with less than this share of the largest eigenvalue are not determined by the data.
_CUTOFF = 1e-12
# Errors on the validation documents that differ by less than this share count as equal. They are of
# the training text: on another one a latent that was rare and weak there can be frequent, and an
# error of no weight there decide. (stories260K after block 0, fitted to lower-cased stories: the
# least validation error had rows 170 times as long as the parent's, and FVU .48 on cased stories,
# where .5 % more of it gives .11 and the parent has .12.)
_ALIKE = 5e-3


class Decoder(NamedTuple):
    """What turns codes into activations: x_hat = f W_dec + b_dec.

    Attributes
    ----------
    W_dec : ndarray (d_sae, d_in)
        In float64, as the bias.
    b_dec : ndarray (d_in,)
        The bias.
    """

    W_dec: np.ndarray
    b_dec: np.ndarray


def solve(method: str, sums: NormalEquations, parent: Decoder, tau: float) -> Decoder:
    """Return the best decoder that a method can reach.

    Parameters
    ----------
    method
        "scale" (a factor per latent), "unrotated_decoder" (the same and the bias) or "decoder"
        (directions, sizes and the bias).
    sums
        Of the tokens to fit.
    parent
        Where the ridge leads to.
    tau
        Strength of the ridge, in activations; 0 for none.
    """
    if method not in METHODS:
        raise ConfigError(
            "this method has no closed form", expected=" | ".join(METHODS), got=method
        )
    if tau < 0:
        raise ConfigError("the ridge must not be negative", got=tau)
    return METHODS[method](sums, parent, tau * _mean_square(sums))


def _mean_square(sums: NormalEquations) -> float:
    """Return the mean of f_i^2 over all active (token, latent)."""
    n_active = int(sums.active.sum())
    return float(sums.ff.sum()) / n_active if n_active else 0.0


def _scale(sums: NormalEquations, parent: Decoder, ridge: float) -> Decoder:
    """Solve sum_j G_ij (w_i . w_j) s_j = sum_t f_ti w_i . (x_t - b_dec)."""
    W, b = parent
    right = np.einsum("ij,ij->i", sums.C, W) - sums.f * (W @ b)
    return Decoder(_factors(sums.G * (W @ W.T), right, W, ridge)[:, None] * W, b)


def _unrotated_decoder(sums: NormalEquations, parent: Decoder, ridge: float) -> Decoder:
    """Solve for the factors with the bias that is best for each, which centres all sums."""
    W = parent.W_dec
    right = np.einsum("ij,ij->i", sums.C - np.outer(sums.f, sums.x / sums.n), W)
    gram = _centred(sums)
    gram *= W @ W.T
    W = _factors(gram, right, W, ridge)[:, None] * W
    return Decoder(W, _best_bias(sums, W))


def _factors(gram: np.ndarray, right: np.ndarray, W: np.ndarray, ridge: float) -> np.ndarray:
    """Return the factors nearest to one that solve ``gram s = right`` with a ridge."""
    change = right - gram.sum(1)
    return 1 + _positive_solve(gram, change, ridge * np.einsum("ij,ij->i", W, W))


def _decoder(sums: NormalEquations, parent: Decoder, ridge: float) -> Decoder:
    """Solve the linear regression of x on (f, 1)."""
    gram = _centred(sums)
    change = sums.C - np.outer(sums.f, sums.x / sums.n) - gram @ parent.W_dec
    W = parent.W_dec + _positive_solve(gram, change, np.full(len(gram), ridge))
    return Decoder(W, _best_bias(sums, W))


METHODS: Mapping[str, Callable[[NormalEquations, Decoder, float], Decoder]] = {
    "scale": _scale,
    "unrotated_decoder": _unrotated_decoder,
    "decoder": _decoder,
}
"""The methods that have a closed form."""


def _centred(sums: NormalEquations) -> np.ndarray:
    """Return G about the mean code, (d_sae, d_sae)."""
    gram = np.outer(sums.f, sums.f)
    gram *= -1 / sums.n
    gram += sums.G
    return gram


def _best_bias(sums: NormalEquations, W_dec: np.ndarray) -> np.ndarray:
    """Return the bias with the least error given the rest: what is left on average."""
    return (sums.x - sums.f @ W_dec) / sums.n


def _positive_solve(gram: np.ndarray, right: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """Return y of (gram + diag(ridge)) y = right with the least norm; ``gram`` is overwritten.

    Rows without data and without a ridge get zero.
    """
    if ridge.any():
        free = np.flatnonzero(gram.diagonal() + ridge <= 0)
        gram[np.diag_indices_from(gram)] += ridge
        gram[free, free] = 1.0
        # by torch: SciPy's threads and torch's would take the cores from one another
        factor = torch.linalg.cholesky(torch.from_numpy(gram))
        columns = torch.from_numpy(right).reshape(len(gram), -1)
        return torch.cholesky_solve(columns, factor).numpy().reshape(right.shape)
    values, vectors = linalg.eigh(gram, overwrite_a=True, check_finite=False)
    kept = values > _CUTOFF * max(values[-1], 0.0)
    vectors = vectors[:, kept]
    scaled = (vectors.T @ right).T / values[kept]
    return vectors @ scaled.T


def choose_ridge(
    method: str,
    train: NormalEquations,
    validation: NormalEquations,
    parent: Decoder,
    strengths: tuple[float, ...],
) -> tuple[float, dict[float, float]]:
    """Return the ridge that the validation documents want.

    The strongest of those whose error there is the least, within half a percent: differences
    below that say nothing, and of solutions alike the nearest to the parent is taken.

    Returns
    -------
    ridge : float
        The strength.
    errors : dict
        Mean squared error per activation and dimension on the validation documents, by strength.
    """
    n_values = validation.n * len(parent.b_dec)
    errors = {
        tau: validation.squared_error(*solve(method, train, parent, tau)) / n_values
        for tau in strengths
    }
    most = min(errors.values()) * (1 + _ALIKE)
    return max(tau for tau, error in errors.items() if error <= most), errors
