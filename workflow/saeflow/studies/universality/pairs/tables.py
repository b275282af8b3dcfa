"""Tables of pairs: how similar two SAEs are, beside what chance gives. Read `similarities`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import draws, interval
from saeflow.metrics.registry import METRICS
from saeflow.metrics.similarity import (
    COLUMNS,
    CORRELATION,
    GAUSSIAN,
    GROUPS,
    QUANTITIES,
    TOKENS,
    UNIFORM,
    column,
    matches,
)
from saeflow.studies.universality import reading
from saeflow.studies.universality.comparisons import LAYER, SHUFFLED, UNTRAINED
from saeflow.studies.universality.reading import CODES, Compared, Pairs, compared
from saeflow.tables.builders import EXTENT, KEY
from saeflow.tables.runs import Key, Record, Run

CHANCE = {
    "null_gaussian": GAUSSIAN, "null_columns": COLUMNS, "null_uniform": UNIFORM,
    "null_tokens": TOKENS,
}  # fmt: skip
"""Columns, and what chance gives that the measure wrote beside each match."""
UNRELATED = {"null_layer": LAYER, "null_random": UNTRAINED, "null_model": SHUFFLED}
"""Columns, and SAEs in which there should be nothing to find."""
NULLS = (*CHANCE, *UNRELATED)
SPACES = ("cka", "svcca", "rsa")

FORWARD, BACKWARD = "first in second", "second in first"
"""Directions: whose features are looked for in which SAE."""
DIRECTIONS = {reading.FIRST: FORWARD, reading.SECOND: BACKWARD}

STATUSES = ("live", "dead", "rare", "duplicate")
_OF_VALUE = ("value", "value_low", "value_high")
# Draws times latents that are formed at a time: 2**20 numbers are 8 MiB.
_BLOCK = 1 << 20


def similarities(
    runs: Sequence[Run], *, pairs: Pairs, metrics: Sequence[str], bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return one row per pair, direction, similarity and statistic.

    Parameters
    ----------
    metrics
        The statistics: metrics of ``similarity``.

    Returns
    -------
    DataFrame
        What `saeflow.studies.universality.reading.Compared.columns` says of the pair; the
        ``direction``; ``quantity``, the similarity, and ``statistic``; ``value``, of correlations
        with an interval over groups of documents with matches held, and of no others; the same
        statistic of what chance gives (`CHANCE`) and of SAEs in which nothing should be found
        (`UNRELATED`), NaN where there is none; ``n_first`` and ``n_second``, live latents, and
        ``n_tokens`` and ``n_documents``. An unrelated SAE is held against the SAE whose latents are
        looked for if the study does so, else against the other one of the pair, else against the
        study's own at the same hook; of several the most similar counts. Another layer is none
        where a pair differs in the hook.
    """
    found = list(compared(runs, pairs))
    formed = (_of_pair(pair, metrics, bootstrap, seed) for pair in found)
    rows = pd.DataFrame(
        [(at, *row) for at, own in enumerate(formed) for row in own],
        columns=["pair", "direction", "own", "other", "quantity", "statistic", *_OF_VALUE, *CHANCE],
    )
    rows = pd.concat([rows, _unrelated(rows, found)], axis=1)
    own = pd.DataFrame([about(pair) for pair in found], columns=_COLUMNS)
    own = own.loc[rows["pair"]].reset_index(drop=True)
    numbers = rows[["direction", "quantity", "statistic", *_OF_VALUE, *NULLS]]
    return pd.concat([own[list(reading.COLUMNS)], numbers, own[list(SIZES)]], axis=1)


SIZES = ("n_first", "n_second", *EXTENT)
_COLUMNS = (*reading.COLUMNS, *SIZES)


def about(pair: Compared) -> dict[str, Any]:
    """Return what all tables say of a pair: the two SAEs, and `SIZES`."""
    sizes = {f"n_{side}": len(pair.side(side)) for side in reading.SIDES}
    return {**pair.columns(), **sizes, **pair.extent()}


def _of_pair(
    pair: Compared, metrics: Sequence[str], bootstrap: int, seed: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a pair."""
    for side, own, other in pair.directions():
        table = pair.side(side)
        for quantity in (name for name in QUANTITIES if name in table):
            whole, ends = matches(table, quantity), {}
            if quantity == CORRELATION and bootstrap:
                ends = _intervals(pair.record, side, tuple(metrics), bootstrap, seed)
            chance = [
                matches(table, quantity, null) if column(quantity, null) in table else {}
                for null in CHANCE.values()
            ]
            for name in metrics:
                value, *by_chance = (float(_formed(name, sums)) for sums in (whole, *chance))
                yield (
                    DIRECTIONS[side], own.key, other.key, quantity, name, value,
                    *ends.get(name, (None, None)), *by_chance,
                )  # fmt: skip


def _formed(metric: str, sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Form a statistic; NaN of what was not measured."""
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            return METRICS[metric].formula(sums)
    except KeyError:
        return np.array(np.nan)


@lru_cache(maxsize=1 << 12)  # two tables have the same ones
def _intervals(
    record: Record, side: str, metrics: tuple[str, ...], bootstrap: int, seed: int
) -> dict[str, tuple[float | None, float | None]]:
    """Return the intervals of statistics of correlations over resampled groups of documents.

    A latent that is active in none of the groups that are drawn correlates with nothing.
    """
    table, groups = record.table(f"{side}.parquet"), record.table(GROUPS)
    names = ("n", "sum", "square", "match_sum", "match_square", "both")
    own = (groups["side"] == side).to_numpy()  # one group after another, latents as in the table
    sums = {name: groups[name].to_numpy(float)[own].reshape(-1, len(table)) for name in names}
    weights = {name: table[name].to_numpy(float) for name in ("active", "carried")}
    n_groups, n_latents = sums["n"].shape
    found: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for counts in draws(n_groups, bootstrap, seed):
        n_blocks = -(-counts.shape[0] * n_latents // _BLOCK)
        for block in np.array_split(counts, n_blocks):
            n, x, xx, y, yy, xy = (block @ sums[name] for name in names)
            variances = np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                r = np.where(variances > 0, (n * xy - x * y) / np.sqrt(variances), 0.0)
            for name in metrics:
                found[name].append(_formed(name, {"best": r, **weights}))
    return {name: interval(np.hstack(own)) for name, own in found.items()}


def _unrelated(rows: pd.DataFrame, found: Sequence[Compared]) -> pd.DataFrame:
    """Return the columns of `UNRELATED`: the same statistics of SAEs that share nothing."""
    of_nulls: dict[tuple, dict[tuple, float]] = {}
    columns = {name: np.full(len(rows), np.nan) for name in UNRELATED}
    is_null = rows["pair"].map(lambda at: found[at].is_null)
    for row in rows[is_null].itertuples():
        what = (found[row.pair].comparison, row.quantity, row.statistic)
        of_nulls.setdefault(what, {})[row.own, row.other] = row.value
    for row in rows[~is_null].itertuples():
        for name, null in UNRELATED.items():
            if null == LAYER and "hook" in found[row.pair].differ:
                continue
            values = of_nulls.get((null, row.quantity, row.statistic), {})
            columns[name][row.Index] = _nearest(values, row.own, row.other)
    return pd.DataFrame(columns, index=rows.index)


def _nearest(values: Mapping[tuple[Key, Key], float], own: Key, other: Key) -> float:
    """Return the largest value of a null whose reference is nearest to a pair; NaN for none."""
    at_hook = {own.hook, other.hook}
    for near in (
        lambda reference: reference == own,
        lambda reference: reference == other,
        lambda reference: reference.hook in at_hook and reference.model == own.model,
        lambda reference: reference.hook in at_hook,
    ):
        of_nearest = [
            value for (reference, null), value in values.items()
            if near(reference) and {reference, null} != {own, other}
        ]  # fmt: skip
        if of_nearest:
            return max(of_nearest)
    return np.nan


def spaces(runs: Sequence[Run], *, pairs: Pairs) -> pd.DataFrame:
    """Return one row per pair and `SPACES`: how alike the decoder rows of matched features lie.

    Returns
    -------
    DataFrame
        The pair; ``n_matched`` features of each, which are each other's best match by correlation;
        ``quantity`` and ``value``; ``null`` and ``null_sd``, mean and standard deviation of the
        same over random pairings.
    """
    rows = []
    for pair in compared(runs, pairs):
        found = pair.record.facts["spaces"]
        about = {**pair.columns(), "n_matched": found["matched"], **pair.extent()}
        for name in SPACES:
            values = {"value": name, "null": f"{name}_null", "null_sd": f"{name}_null_sd"}
            of_name = {column: found.get(key) for column, key in values.items()}
            rows.append({**about, "quantity": name, **of_name})
    last = ["quantity", "value", "null", "null_sd", "n_matched", *EXTENT]
    return pd.DataFrame(rows, columns=[*reading.COLUMNS, *last])


def counts(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per SAE: how many of its features are compared, and how many are not and why.

    Returns
    -------
    DataFrame
        The SAE; its ``width``, which is the sum of ``live``, ``dead`` (active on no token),
        ``rare`` (on fewer than are enough) and ``duplicate`` ones; ``carried``, the share of the
        reconstruction that live ones carry; ``asked``, the tokens that were asked for, beside
        those there were.
    """
    rows = []
    for run in (run for run in runs if CODES in run.records):
        record = run.records[CODES]
        facts, latents = record.facts, record.table("latents.parquet")
        carried = latents.groupby(latents["status"] == "live")["carried"].sum()
        rows.append(
            {
                **run.key.columns(),
                "baseline": run.baseline,
                "architecture": run.sae["architecture"],
                "width": facts["d_sae"],
                **{name: facts["counts"][name] for name in STATUSES},
                "carried": carried.get(True, 0.0) / carried.sum() if carried.sum() else np.nan,
                "asked": facts["asked"],
                **run.extent(),
            }
        )
    last = ["baseline", "architecture", "width", *STATUSES, "carried", "asked", *EXTENT]
    return pd.DataFrame(rows, columns=[*KEY, *last])
