"""What of a similarity each factor takes, and what of the variance of features' fates is whose.

Two SAEs of a factorial design differ in some factors, as initial weights, order and part of the
data. Pure functions of similarities by what differs; read `dividends` and `shares`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Differing = frozenset[str]
"""The factors in which two SAEs differ."""

FEATURE, INTERACTIONS, REST = "feature", "interactions", "rest"
WITH_FEATURE = "feature with "


def subsets(factors: Sequence[str]) -> list[Differing]:
    """Return all sets of factors but the empty one, the small ones first."""
    sizes = range(1, len(factors) + 1)
    return [frozenset(one) for n in sizes for one in itertools.combinations(factors, n)]


def dividends(losses: Mapping[Differing, np.ndarray]) -> dict[Differing, np.ndarray]:
    """Return what differing in all of some factors takes beyond what fewer of them take.

    By inclusion and exclusion (Möbius inversion; Harsanyi 1963 calls it dividends), so that the
    loss of a set of factors is the sum of the dividends of its parts. A negative one says that
    the factors take the same.

    Of the losses of SAEs that differ in just these, of any shape; nothing is lost without a
    difference. There is none of sets with a part that is not known.
    """
    found = {}
    for whole in losses:
        parts = subsets(sorted(whole))
        if all(part in losses for part in parts):
            signed = [(-1) ** (len(whole) - len(part)) * losses[part] for part in parts]
            found[whole] = np.sum(signed, axis=0)
    return found


def portions(
    found: Mapping[Differing, np.ndarray], factors: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return what each factor has of the loss where all differ: dividends in equal parts.

    These are Shapley values: what a factor adds, on average over all orders of adding factors.
    Of what `dividends` gives; they add up to the loss where all factors differ. Empty where some
    set is not known.
    """
    every = subsets(factors)
    if not all(one in found for one in every):
        return {}
    return {
        factor: np.sum([found[one] / len(one) for one in every if factor in one], axis=0)
        for factor in factors
    }


def projections(cells: Sequence[Differing], factors: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what takes each source's part out of a profile over cells.

    Where cells are missing, factors are not orthogonal: the part of a factor is then the mean over
    all orders in which factors can be added (Lindeman, Merenda and Gold 1980).

    Parameters
    ----------
    cells
        In what the SAE of each cell differs from the reference.
    factors
        All of them.

    Returns
    -------
    dict
        `FEATURE` (the mean), each factor, `INTERACTIONS` of factors and `REST` (cells that differ
        in the same) -> (n_cells, n_cells); they add up to the identity.
    """
    n = len(cells)
    ones = np.ones((n, 1))
    columns = {name: np.array([[float(name in cell)] for cell in cells]) for name in factors}
    found = {FEATURE: _onto(ones)} | {name: np.zeros((n, n)) for name in factors}
    orders = list(itertools.permutations(factors))
    for order in orders:
        known, before = [ones], found[FEATURE]
        for name in order:
            known.append(columns[name])
            after = _onto(np.hstack(known))
            found[name] += (after - before) / len(orders)
            before = after
    mains = _onto(np.hstack([ones, *columns.values()]))
    apart = [list(dict.fromkeys(cells)).index(cell) for cell in cells]
    of_cells = _onto(np.eye(max(apart) + 1)[apart])
    return found | {INTERACTIONS: of_cells - mains, REST: np.eye(n) - of_cells}


def _onto(columns: np.ndarray) -> np.ndarray:
    """Return the projection onto what columns (n, k) span."""
    return columns @ np.linalg.pinv(columns)


def sums(fates: np.ndarray, matrices: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return per feature what adds up to the sums of squares, over all features or drawn ones.

    Of fates (n_features, n_cells), what became of each feature in each cell, and what `projections`
    gives: name -> (n_features,).
    """
    cells = {f"cell {c}": column for c, column in enumerate(np.asarray(fates, float).T)}
    squares = {name: ((fates @ own) * fates).sum(axis=1) for name, own in matrices.items()}
    return {"n": np.ones(len(fates))} | cells | squares


def squares(
    totals: Mapping[str, np.ndarray], matrices: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the sum of squares of each source.

    Of totals over features of what `sums` gives, () or (samples,): `FEATURE`, how features differ
    in their means; each factor and `INTERACTIONS`, how the means of cells differ; "feature with
    seed" and the like, how features differ in what a factor does; `REST`, all else. They add up to
    the whole.
    """
    n_cells = len(matrices[FEATURE])
    cells = np.stack([totals[f"cell {c}"] for c in range(n_cells)], axis=-1)
    found = {}
    for name, own in matrices.items():
        between = ((cells @ own) * cells).sum(axis=-1) / totals["n"]
        found[name] = between, totals[name] - between
    result = _named(found, found[FEATURE][1], found[INTERACTIONS][1] + sum(found[REST]))
    return {name: np.maximum(value, 0.0) for name, value in result.items()}  # but for rounding


def _named(found: Mapping[str, tuple[Any, Any]], feature: Any, rest: Any) -> dict[str, Any]:
    """Return by source what lies between cells, and how features differ in what factors do."""
    factors = [name for name in found if name not in (FEATURE, INTERACTIONS, REST)]
    return {
        FEATURE: feature,
        **{name: found[name][0] for name in factors},
        INTERACTIONS: found[INTERACTIONS][0],
        **{f"{WITH_FEATURE}{name}": found[name][1] for name in factors},
        REST: rest,
    }


def freedom(n_features: int, matrices: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the degrees of freedom of each source of `squares`.

    In numbers that have nothing to do with features or cells a source has as large a share of the
    variance as of the degrees of freedom.
    """
    traces = {name: float(np.trace(own)) for name, own in matrices.items()}
    between = n_features - 1
    found = {name: (trace, between * trace) for name, trace in traces.items()}
    rest = found[INTERACTIONS][1] + n_features * traces[REST]
    return _named(found, float(between), rest)
