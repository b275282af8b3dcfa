"""How much an L1 penalty suppresses features: what follows from the loss, and what toys say of it.

The loss is that of the feature suppression post,

    mean over tokens of |x_hat - x|^2 / d + c sum_i f_i

with unit decoder rows. Binary features: feature i is there on a share p_i of the tokens and then
adds g_i w_i to x; the SAE finds it without fail and gives it the activation a_i. Everything here
is about the minimum over a. Read `shrinkage` and `learned_activations`; `theory` is the table.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from saeflow.tables.statistics import slope

SWEEP = "sweep of c"
"""The experiment that `theory` adds to those of the simulation."""

_ENDS = ("slope", "slope_low", "slope_high")
_TOLERANCE = 1e-12


def shrinkage(c: float, d: int, p: np.ndarray | float = 0.0, *, bias: bool = False) -> np.ndarray:
    """Return g - a of features that do not interfere, in units of the activations.

    The post's result is c d / 2, whatever g and p. It holds for a fixed decoder bias. A trained
    one moves along w to meet the tokens that have the feature, which makes a bias (g - a) p and
    lets the activation shrink further: c d / (2 (1 - p)).

    Parameters
    ----------
    c
        Coefficient of the penalty.
    d
        Width of the activations.
    p
        Share of tokens with the feature; matters only with ``bias``.
    bias
        Whether the decoder's bias is trained.

    Notes
    -----
    With e = a - g and the bias beta along w the loss is p (e + beta)^2 / d + (1 - p) beta^2 / d +
    c p a. Setting both derivatives to zero gives e + beta = -c d / 2 and beta = p c d /
    (2 (1 - p)).
    """
    rate = np.asarray(p, dtype=float)
    return c * d / 2 / (1 - rate) if bias else np.full_like(rate, c * d / 2)


def learned_activation(
    g: np.ndarray | float, c: float, d: int, p: np.ndarray | float = 0.0, *, bias: bool = False
) -> np.ndarray:
    """Return a: the activation that a feature of strength ``g`` gets; 0 where it dies."""
    return np.maximum(np.asarray(g, dtype=float) - shrinkage(c, d, p, bias=bias), 0.0)


def tuned_scale(
    g: np.ndarray | float, c: float, d: int, p: np.ndarray | float = 0.0, *, bias: bool = False
) -> np.ndarray:
    """Return g / a: the factor by which fine-tuning without the penalty scales a feature."""
    a = learned_activation(g, c, d, p, bias=bias)
    return np.divide(g, a, out=np.full_like(a, np.nan), where=a > 0)


def learned_activations(
    g: np.ndarray,
    p: np.ndarray,
    directions: np.ndarray,
    c: float,
    *,
    together: np.ndarray | None = None,
    bias: bool = False,
) -> np.ndarray:
    """Return the activations (n,) of features that interfere, because directions overlap.

    Parameters
    ----------
    g, p
        Strength and frequency of each feature, (n,).
    directions
        Unit rows, (n, d).
    c
        Coefficient of the penalty.
    together
        Share of tokens on which both of two features are there, (n, n), with p on the diagonal;
        p_i p_j by default: independent features.
    bias
        Whether the decoder's bias is trained; then moments are taken about the mean.

    Notes
    -----
    The loss is quadratic: (a - g)^T M (a - g) / d + c p^T a with M_ij = (w_i . w_j) E[z_i z_j],
    minimised over a >= 0.
    """
    from scipy.optimize import lsq_linear  # only here: tables and figures do without SciPy

    g, p = np.asarray(g, dtype=float), np.asarray(p, dtype=float)
    d = directions.shape[1]
    if together is None:
        together = np.outer(p, p)
        np.fill_diagonal(together, p)
    moments = together - np.outer(p, p) if bias else together
    quadratic = (directions @ directions.T) * moments
    values, vectors = np.linalg.eigh(quadratic)
    kept = values > _TOLERANCE * values[-1]
    root = (vectors[:, kept] * np.sqrt(values[kept])).T
    # |root (a - g)|^2 + c d p^T a  =  |root a - root g + shift|^2 + constant, root^T shift = cdp/2
    shift = ((vectors[:, kept] / np.sqrt(values[kept])).T @ p) * (c * d / 2)
    return lsq_linear(root, root @ g - shift, bounds=(0, np.inf), tol=_TOLERANCE).x


def dilution(activation: np.ndarray | float, noise: np.ndarray | float) -> np.ndarray:
    """Return the factor by which noise in a latent's activation lowers its fitted scale.

    Of a least squares fit of x = g on f = a + e with Var e = noise^2: E[f g] / E[f^2] is g / a
    times a^2 / (a^2 + noise^2), the dilution of regression by an error in the regressor.
    """
    square = np.square(activation, dtype=float)
    return square / (square + np.square(noise))


def theory(simulation: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the simulation, and those of a further experiment `SWEEP`.

    It has the shift g - a of each feature of "apart" that is predicted to live, with c d / 2 as
    ``half_cd`` and the slope of the shift on it: over all strengths and coefficients of an SAE
    (``trained``) and frequency, with an intercept and the interval of least squares.
    """
    apart = simulation[(simulation["experiment"] == "apart") & (simulation["predicted"] > 0)]
    shifts = apart.assign(
        experiment=SWEEP,
        quantity="shift",
        predicted=apart["g"] - apart["predicted"],
        simulated=apart["g"] - apart["simulated"],
    )
    table = pd.concat([simulation, shifts], ignore_index=True)
    table["half_cd"] = table["c"] * table["d"] / 2
    table[list(_ENDS)] = np.nan
    sweep = table[table["experiment"] == SWEEP]
    for _, index in sweep.groupby(["trained", "p"], sort=False).groups.items():
        x, y = (table.loc[index, name].to_numpy(float) for name in ("half_cd", "simulated"))
        for name, value in zip(_ENDS, slope(x, y), strict=True):
            table.loc[index, name] = np.nan if value is None else value
    return table
