"""k-sparse probes: a logistic regression on the few latents whose means differ most by class.

Gurnee et al. 2023, "Finding neurons in a haystack"; the choice is made within each fold anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saeflow.probing.columns import Matrix, dense
from saeflow.probing.fitted import Fitted, Linear, Training
from saeflow.probing.logistic import PENALTIES, UNCHOSEN, Stacked, best_of

_LEAST = 1e-6


def k_sparse(
    training: Training,
    *,
    ks: Sequence[int],
    penalties: Sequence[float] = PENALTIES,
    standardise: bool = True,
    normalise: bool = True,
) -> list[Fitted]:
    """Fit to the first k of one ranking of the columns, for each k.

    Parameters
    ----------
    training
        Dense or sparse inputs.
    ks
        How many columns; where fewer than k have unlike means, those.
    penalties, standardise
        As of `saeflow.probing.logistic.logistic`.
    normalise
        As of `ranking`.
    """
    most = max(ks)
    orders = [
        ranking(training.x[rows], training.positive[rows], most, normalise=normalise)
        for rows in (slice(None), *(fold.fit for fold in training.folds))
    ]
    wanted = np.unique(np.concatenate(orders))
    few = training._replace(x=dense(training.x[:, wanted]))
    own, *orders = (np.searchsorted(wanted, order) for order in orders)
    found = []
    for k in ks:
        width = min([k, len(own), *map(len, orders)])  # folds may have fewer to choose from
        columns = [order[:width] for order in orders]
        penalty, best, ended = _choose(few, columns, penalties, standardise=standardise)
        chosen = own[:k]
        at = Stacked.of([few.x[:, chosen]], standardise=standardise)
        (linear,), converged = at.fit(at.stack([training.positive]), [penalty])
        weights = np.zeros(training.x.shape[1])
        weights[wanted[chosen]] = linear.first().weights
        score = Linear(weights, linear.first().intercept)
        found.append(Fitted(score, k, best, converged and ended, wanted[chosen]))
    return found


def _choose(
    few: Training, columns: Sequence[np.ndarray], penalties: Sequence[float], *, standardise: bool
) -> tuple[float, float, bool]:
    """Return the C with the best mean AUC on folds that read columns of their own, and that AUC.

    Also whether the fits to all of them converged.
    """
    if not columns:
        return UNCHOSEN, float("nan"), True
    pairs = list(zip(few.folds, columns, strict=True))
    at = Stacked.of([few.x[np.ix_(f.fit, own)] for f, own in pairs], standardise=standardise)
    labels = at.stack([few.positive[fold.fit] for fold in few.folds])
    found, fits = at.fit(labels, penalties), []
    for own, linear in zip(columns, found.linear, strict=True):
        weights = np.zeros((few.x.shape[1], len(penalties)))
        weights[own] = linear.weights
        fits.append(Linear(weights, linear.intercept))
    return *best_of(penalties, few, fits, UNCHOSEN), found.converged


def ranking(x: Matrix, positive: np.ndarray, most: int, *, normalise: bool = True) -> np.ndarray:
    """Return the columns with the largest |difference of class means|, the largest first.

    Parameters
    ----------
    x : ndarray or csr_matrix (n, d)
    positive : ndarray (n,) bool
    most
        How many at most; columns of equal means are not among them.
    normalise
        Whether a column is first divided by the mean of its absolute entries that are not zero, as
        sae-probes does by default; else latents with large values come first.

    Returns
    -------
    ndarray (n_found,) int64
        Of columns with equal differences the first come first.
    """
    share = np.where(positive, 1 / positive.sum(), -1 / (~positive).sum())
    apart = np.abs(share @ x)
    if normalise:
        filled = np.asarray((x != 0).sum(0)).ravel()
        apart = apart / (np.asarray(abs(x).sum(0)).ravel() / (filled + _LEAST) + _LEAST)
    n = min(most, int((apart > 0).sum()))
    if not n:
        return np.zeros(0, dtype=np.int64)
    candidates = np.flatnonzero(apart >= np.partition(apart, -n)[-n])
    return candidates[np.argsort(-apart[candidates], kind="stable")][:n]
