"""Tables of factorial designs: what seed, order and part of the data do to features.

Each SAE of a design is the reference once: what becomes of its features in all the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import Estimate, interval, resample
from saeflow.studies.universality.fates.designs import (
    OUTCOMES,
    QUANTITIES,
    Design,
    Reference,
)
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
from saeflow.tables.runs import Key, Run

_ROUNDING = 1e-9
_PLACE = ("comparison", "model", "hook", "site", "block", "sae", "n_saes")
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
    rows: list[dict[str, Any]] = []
    draws = (bootstrap, seed)
    for design in Design.all(runs, pairs):
        for quantity, null in QUANTITIES.items():
            for outcome in OUTCOMES:
                about = {**design.columns(), "quantity": quantity, "outcome": outcome}
                rows += (about | row for row in _losses(design, quantity, null, outcome, draws))
    measured = [f"{one}{end}" for one in ("value", "own", "portion") for end in _ENDS]
    wanted = [*_PLACE, *_OF_VALUE, *measured, "null", "least", "most"]
    return pd.DataFrame(rows, columns=wanted)


_ENDS = ("", "_low", "_high")


class _Means:
    """The mean of each reference over features, of all and of drawn ones, by what differs."""

    def __init__(
        self, references: Sequence[Reference], column: str, outcome: str, draws: tuple[int, int]
    ) -> None:
        samples, seed = draws
        self.of: list[dict[Differing, np.ndarray]] = []
        for number, one in enumerate(references):
            fates = one.fates(column, outcome)
            named = {f"{cell}": fates[:, cell] for cell in range(len(one.cells))}
            drawn = resample(named, samples=samples, seed=seed + number) if samples else {}
            # the mean over all features stands before those over drawn ones
            whole = {
                name: np.append(own.sum(), drawn.get(name, ())) / one.n
                for name, own in named.items()
            }
            self.of.append(
                {
                    cell: np.mean([whole[f"{c}"] for c, x in enumerate(one.cells) if x == cell], 0)
                    for cell in dict.fromkeys(one.cells)
                }
            )

    @cached_property
    def together(self) -> dict[Differing, np.ndarray]:
        """The means over references."""
        every = dict.fromkeys(cell for own in self.of for cell in own)
        return {
            cell: np.mean([own[cell] for own in self.of if cell in own], axis=0) for cell in every
        }


def _losses(
    design: Design, quantity: str, null: str, outcome: str, draws: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    references = design.references
    means = _Means(references, quantity, outcome, draws)
    chance = _Means(references, null, outcome, (0, 0))
    parts = [("", references, means.together, chance.together)]
    parts += [
        (_called(one.key), [one], own, by_chance)
        for one, own, by_chance in zip(references, means.of, chance.of, strict=True)
    ]
    for name, own, values, nulls in parts:
        found = dividends({cell: 1 - value for cell, value in values.items()})
        of_factors = portions(found, design.factors)
        for cell in (one for one in subsets(design.factors) if one in values):
            single = [value[cell][0] for value in means.of if cell in value]
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


def _called(key: Key) -> str:
    return f"{key.sae}, seed {key.seed}"


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
    rows = []
    for design in Design.all(runs, pairs):
        for quantity in QUANTITIES:
            for outcome in OUTCOMES:
                about = {**design.columns(), "quantity": quantity, "outcome": outcome}
                rows += (about | row for row in _shares(design, quantity, outcome, bootstrap, seed))
    shares = [f"share{end}" for end in _ENDS]
    wanted = [*_PLACE, "n_features", "quantity", "outcome", "source", *shares, "chance"]
    return pd.DataFrame(rows, columns=[*wanted, "least", "most"])


def _shares(
    design: Design, quantity: str, outcome: str, bootstrap: int, seed: int
) -> Iterator[dict[str, Any]]:
    references = design.references
    parts: list[dict[str, np.ndarray]] = []
    free: list[dict[str, float]] = []
    for number, one in enumerate(references):
        matrices = projections(one.cells, design.factors)
        given = sums(one.fates(quantity, outcome), matrices)
        drawn = resample(given, samples=bootstrap, seed=seed + number) if bootstrap else {}
        whole = {name: np.append(own.sum(), drawn.get(name, ())) for name, own in given.items()}
        parts.append(squares(whole, matrices))
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
