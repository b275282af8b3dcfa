"""Tables of factorial designs: what seed, order and part of the data do to features.

Each SAE of a design is the reference once: what becomes of its features in all the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import Estimate, interval, resample
from saeflow.studies.universality.fates.designs import OUTCOMES, QUANTITIES, Design, Reference
from saeflow.studies.universality.fates.variance import (
    Differing,
    dividends,
    freedom,
    portions,
    projections,
    squares,
    subsets,
    sums,
)
from saeflow.studies.universality.reading import Pairs
from saeflow.tables.builders import columns
from saeflow.tables.runs import Run

_Means = dict[Differing, np.ndarray]

_ROUNDING = 1e-9
_PLACE = ("comparison", "model", "hook", "site", "block", "sae", "n_saes")
_ENDS = ("", "_low", "_high")
_OF_VALUE = ("reference", "n_features", "quantity", "outcome", "differ", "n_factors", "n_pairs")


def factorial(
    runs: Sequence[Run], *, pairs: Pairs, bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return how similar features are in SAEs that differ in what, a row per set of factors.

    Returns
    -------
    DataFrame
        The design, called after the first of its SAEs; ``reference``, one of them, or "" for the
        mean over all; ``quantity`` and ``outcome`` (`OUTCOMES`); in what the others ``differ``.
        With intervals over features of the same SAEs: ``value``, the mean over features and SAEs;
        ``own``, what of the loss is these factors' together and not fewer's (`dividends`);
        ``portion``, what a single factor has of the loss where all differ (`portions`). ``null``
        is the value by chance; ``least`` and ``most`` of ``value`` are over references.
    """
    rows = (
        about | row
        for design, quantity, outcome, about in _cases(runs, pairs)
        for row in _losses(design, quantity, outcome, bootstrap, seed)
    )
    measured = [f"{one}{end}" for one in ("value", "own", "portion") for end in _ENDS]
    wanted = [*_PLACE, *_OF_VALUE, *measured, "null", "least", "most"]
    return pd.DataFrame(rows, columns=wanted)


def _cases(runs: Sequence[Run], pairs: Pairs) -> Iterator[tuple[Design, str, str, dict[str, Any]]]:
    """Yield each design with each quantity and outcome, and what tables say of these."""
    for design in Design.all(runs, pairs):
        for quantity, outcome in itertools.product(QUANTITIES, OUTCOMES):
            about = {**design.columns(), "quantity": quantity, "outcome": outcome}
            yield design, quantity, outcome, about


def _sums(given: Mapping[str, np.ndarray], samples: int, seed: int) -> dict[str, np.ndarray]:
    """Return the sum of each column over all features, and behind it those over drawn ones."""
    drawn = resample(given, samples=samples, seed=seed) if samples else {}
    return {name: np.append(own.sum(), drawn.get(name, ())) for name, own in given.items()}


def _means(
    references: Sequence[Reference], column: str, outcome: str, samples: int = 0, seed: int = 0
) -> tuple[list[_Means], _Means]:
    """Return the means over features, of all and of drawn ones: of each reference, and of all."""
    found = []
    for number, one in enumerate(references):
        fates = dict(enumerate(one.fates(column, outcome).T))
        sums = _sums({f"{at}": own for at, own in fates.items()}, samples, seed + number)
        cells: dict[Differing, list[np.ndarray]] = {}
        for at, cell in enumerate(one.cells):
            cells.setdefault(cell, []).append(sums[f"{at}"] / one.n)
        found.append({cell: np.mean(own, axis=0) for cell, own in cells.items()})
    every = dict.fromkeys(cell for own in found for cell in own)
    return found, {cell: np.mean([o[cell] for o in found if cell in o], axis=0) for cell in every}


def _losses(
    design: Design, quantity: str, outcome: str, samples: int, seed: int
) -> Iterator[dict[str, Any]]:
    references = design.references
    means, together = _means(references, quantity, outcome, samples, seed)
    chance, by_chance = _means(references, QUANTITIES[quantity], outcome)
    parts = [("", references, together, by_chance)]
    parts += [
        (f"{one.key.sae}, seed {one.key.seed}", [one], own, nulls)
        for one, own, nulls in zip(references, means, chance, strict=True)
    ]
    for name, own, values, nulls in parts:
        found = dividends({cell: 1 - value for cell, value in values.items()})
        of_factors = portions(found, design.factors)
        for cell in (one for one in subsets(design.factors) if one in values):
            single = [value[cell][0] for value in means if cell in value]
            estimates = {"value": _estimate(values[cell])}
            if cell in found:
                estimates["own"] = _estimate(found[cell])
            if len(cell) == 1 and of_factors:
                estimates["portion"] = _estimate(of_factors[next(iter(cell))])
            yield {
                "reference": name,
                "n_features": sum(one.n for one in own),
                "differ": design.in_words(cell),
                "n_factors": len(cell),
                "n_pairs": sum(one.cells.count(cell) for one in own),
                **columns(estimates),
                "null": float(nulls[cell][0]),
                **({} if name else {"least": min(single), "most": max(single)}),
            }


def _estimate(values: np.ndarray) -> Estimate:
    """Return the first of some numbers, and the interval of the others, which are of draws."""
    value, *_ = values
    return Estimate(float(value) if np.isfinite(value) else None, *interval(values[1:]))


def fate_shares(
    runs: Sequence[Run], *, pairs: Pairs, bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return whose the variance of features' fates is, a row per source.

    An SAE and itself agree by construction and are no cell of the design.

    Returns
    -------
    DataFrame
        The design; ``quantity``, ``outcome`` and ``source`` (`squares`); ``share`` of the variance
        over features and over SAEs, with its interval over features of the same SAEs, of all
        references together; ``chance``, what it is where fates have nothing to do with either:
        the share of the degrees of freedom; ``least`` and ``most`` of single references.
    """
    rows = (
        about | row
        for design, quantity, outcome, about in _cases(runs, pairs)
        for row in _shares(design, quantity, outcome, bootstrap, seed)
    )
    shares = [f"share{end}" for end in _ENDS]
    wanted = [*_PLACE, "n_features", "quantity", "outcome", "source", *shares, "chance"]
    return pd.DataFrame(rows, columns=[*wanted, "least", "most"])


def _shares(
    design: Design, quantity: str, outcome: str, samples: int, seed: int
) -> Iterator[dict[str, Any]]:
    references = design.references
    parts: list[dict[str, np.ndarray]] = []
    free: list[dict[str, float]] = []
    for number, one in enumerate(references):
        matrices = projections(one.cells, design.factors)
        given = sums(one.fates(quantity, outcome), matrices)
        parts.append(squares(_sums(given, samples, seed + number), matrices))
        free.append(freedom(one.n, matrices))
    all_free = sum(sum(own.values()) for own in free)
    every, single = _share(parts), [_share([own]) for own in parts]
    for source in parts[0]:
        yield {
            "n_features": sum(one.n for one in references),
            "source": source,
            **columns({"share": _estimate(every[source])}),
            "chance": sum(own[source] for own in free) / all_free,
            "least": min(own[source][0] for own in single),
            "most": max(own[source][0] for own in single),
        }


def _share(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return what each source has of all squares; NaN where nothing varies."""
    found = {name: np.sum([own[name] for own in parts], axis=0) for name in parts[0]}
    every = np.sum(list(found.values()), axis=0)
    return {name: own / np.where(every > _ROUNDING, every, np.nan) for name, own in found.items()}
