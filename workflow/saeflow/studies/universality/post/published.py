"""The post's statements and numbers (`numbers.py`) beside ours, with a verdict on each.

Signs and orders can hold of any models and SAEs. A number is held against ours where a study has
the post's models and SAEs of its kind; else it is not made. Read `published`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.metrics.similarity import CORRELATION, COSINE, UNCENTRED
from saeflow.studies.claims import BUG, YES, Claim, Row, Values, rank_correlation
from saeflow.studies.universality.comparisons import NULLS
from saeflow.studies.universality.pairs.tables import similarities
from saeflow.studies.universality.post import numbers
from saeflow.studies.universality.post.directed import (
    DOWNWARD,
    OTHER,
    OWN,
    STATISTIC,
    UPWARD,
    against_widest,
    directed,
    of_one_size,
)
from saeflow.studies.universality.post.singles import of_frequencies, of_language, snapshots
from saeflow.studies.universality.reading import Pairs
from saeflow.tables.runs import Run

_PAIRS, _LARGEST, _LEAST = "mean over pairs of SAEs", "largest of all pairs", "least of all pairs"
_LEAST_PAIRS = 3
_OF = {COSINE: "MCS", CORRELATION: "correlation"}
_SAE = [f"{OWN}_{name}" for name in ("model", "dataset", "packing", "hook", "sae", "seed")]


def published(
    runs: Sequence[Run], *, pairs: Pairs, hubs: Mapping[str, str], metrics: Sequence[str]
) -> pd.DataFrame:
    """Return one row per claim.

    Parameters
    ----------
    hubs
        Model -> its name on the hub.
    metrics
        The mean best similarity, and perplexities.
    """
    table = similarities(runs, pairs=pairs, metrics=[STATISTIC])
    rows = directed(table, nulls=True)
    theirs = [rows[f"{side}_model"].map(hubs).isin(numbers.HUBS) for side in (OWN, OTHER)]
    of_post = theirs[0] & theirs[1] | rows["comparison"].isin(NULLS) & (theirs[0] | theirs[1])
    of_post &= rows[f"{OWN}_site"] == numbers.SITE
    of_post &= rows[f"{OWN}_architecture"] == numbers.ARCHITECTURE
    found = [
        *_by_chance(rows[of_post]),
        *_slips(rows),
        *of_language(runs, hubs, [name for name in metrics if name != STATISTIC]),
        *_trainings(table, rows[of_post].index),
        *_ratios(rows[of_post & (rows[f"{OWN}_model"].map(hubs) == numbers.SMALLEST)]),
        *of_frequencies(runs, pairs, hubs),
        *_one_to_one(table),
        *_sizes(rows),
        *snapshots(runs, hubs),
    ]
    out = [{**row.claim._asdict(), "comparable": row.comparable} for row in found]
    return pd.DataFrame(out, columns=[*Claim._fields, "comparable"])


def _over(rows: pd.DataFrame, column: str = "value") -> Values:
    """Return the mean over pairs and directions; it rests on the SAEs of these."""
    values = rows.set_index(_SAE)[column].astype(float)
    return Values.mean(values)._replace(statistic=_PAIRS)


def _end(found: Values, statistic: str) -> Values:
    """Return the least or the largest in the place of the mean."""
    values = sorted(found.of_saes) or [np.nan]
    ours = values[-1] if statistic == _LARGEST else values[0]
    return found._replace(ours=float(ours), statistic=statistic)


def _near(found: Values, name: str, theirs: float, within: float, comparable: str = YES) -> Row:
    """Return whether ours is no further from theirs."""
    rule = f"within {within:g}".replace("0.", ".")
    holds = abs(found.ours - theirs) <= within
    return Row(found.claim(name, theirs, rule, holds=holds), comparable)


def _by_chance(rows: pd.DataFrame) -> Iterator[Row]:
    """Yield what random directions, and SAEs that share nothing, give."""
    cosines = rows[(rows["quantity"] == COSINE) & ~rows["comparison"].isin(NULLS)]
    for null, words, comparable in (
        ("null_gaussian", "random directions", YES),
        ("null_uniform", "random directions of positive entries, as in the code", BUG),
    ):
        found = _over(cosines, null)
        yield _near(found, f"MCS of {words}", numbers.MCS_BY_CHANCE, 0.03, comparable)
    most = _end(_over(cosines, "null_gaussian"), _LARGEST)
    theirs = numbers.MCS_BY_CHANCE_BELOW
    yield Row(
        most.claim("MCS of random directions, the largest", theirs, f"below {theirs:g}",
                   holds=most.ours < theirs), YES,
    )  # fmt: skip
    nulls = rows[rows["comparison"].isin(NULLS)]
    for quantity, words in ((UNCENTRED, "as in the code"), (CORRELATION, "corrected")):
        found = _over(nulls[nulls["quantity"] == quantity])
        name = f"correlation of SAEs that should share nothing, {words}"
        yield _near(found, name, numbers.CORRELATION_BY_CHANCE, 0.1, BUG)


def _slips(rows: pd.DataFrame) -> Iterator[Row]:
    """Yield whether what the code computed differs from what the post says, where it was made."""
    pair = [*_SAE, *(name.replace(OWN, OTHER) for name in _SAE), "comparison"]
    nulls = rows[rows["comparison"].isin(NULLS)].pivot_table("value", pair, "quantity")
    nulls = nulls.reindex(columns=[UNCENTRED, CORRELATION])
    gap = _over((nulls[UNCENTRED] - nulls[CORRELATION]).rename("value").reset_index())
    name = "correlation as in the code - corrected, of SAEs that should share nothing"
    yield Row(gap.claim(name, np.nan, "positive", holds=gap.ours > 0), BUG)
    cosines = rows[rows["quantity"] == COSINE]
    gap = _over(cosines.assign(value=cosines["null_uniform"] - cosines["null_gaussian"]))
    name = "MCS of random directions, as in the code - corrected"
    yield Row(gap.claim(name, np.nan, "negative", holds=gap.ours < 0), BUG)


def _trainings(table: pd.DataFrame, of_post: pd.Index) -> Iterator[Row]:
    """Yield what two trainings of one size of model have in common."""
    rows = of_one_size(table, "model")
    rows = rows[rows["quantity"] == COSINE]
    theirs = numbers.TRAININGS_FIRST_LAYER
    own = rows[rows.index.isin(of_post)]
    first = _over(own[own[f"{OWN}_block"] == 0])
    yield _near(first, "MCS of two trainings of one model, first layer", theirs, 0.1)
    above = numbers.TRAININGS_ABOVE
    least = _end(_over(own), _LEAST)
    name = "MCS of two trainings of one model, the least of all layers"
    yield Row(least.claim(name, above, f"above {above:g}", holds=least.ours > above), YES)
    gap = _over(rows.assign(value=rows["value"] - rows["null_gaussian"]))
    name = "MCS of two trainings of one model - that of random directions"
    holds = bool((gap.of_saes > 0).all())
    yield Row(gap.claim(name, theirs - above, "positive for every pair", holds=holds), YES)


def _ratios(rows: pd.DataFrame) -> Iterator[Row]:
    rows = rows[(rows["quantity"] == COSINE) & (rows["differ"] == "expansion")]
    for (small, large), theirs in numbers.MCS_OF_RATIOS.items():
        at = (rows[f"{OWN}_expansion"] == small) & (rows[f"{OTHER}_expansion"] == large)
        yield _near(_over(rows[at]), f"MCS of features of 1:{small} in 1:{large}", theirs, 0.05)


def _one_to_one(table: pd.DataFrame) -> Iterator[Row]:
    """Yield whether SAEs as wide as their input are less like the widest than others are."""
    rows = against_widest(table)
    series = [name for name in _SAE if name != f"{OWN}_sae"] + [f"{OWN}_architecture"]
    for quantity, words in _OF.items():
        for way in (UPWARD, DOWNWARD):
            own = rows[(rows["quantity"] == quantity) & (rows["way"] == way)]
            means = own.pivot_table(index=series, columns="expansion", values="value")
            others = means.drop(columns=1.0, errors="ignore").mean(axis=1)
            gaps = means.get(1.0, others * np.nan) - others
            found = Values.mean(gaps)._replace(statistic=_PAIRS)
            name = f"{words} of {way}, ratio 1:1 - others"
            yield Row(found.claim(name, np.nan, "negative", holds=found.ours < 0), YES)


def _sizes(rows: pd.DataFrame) -> Iterator[Row]:
    """Yield whether models closer in size have features that are more alike."""
    kept = (rows["differ"] == "model") & (rows["quantity"] == CORRELATION)
    rows = rows[kept & ~rows["comparison"].isin(NULLS)]
    apart = np.abs(np.log(rows[f"{OWN}_d_in"] / rows[f"{OTHER}_d_in"])).round(9)
    series = [name for name in _SAE if name != f"{OWN}_model"]
    r = {
        key: rank_correlation(own["apart"], own["value"])
        for key, own in rows.assign(apart=apart).groupby(series, sort=False)
        if len(own) >= 2 * _LEAST_PAIRS
    }
    found = Values.mean(pd.Series(r, dtype=float))._replace(statistic="mean over hooks and SAEs")
    name = "correlation, its rank correlation with the distance of the models' widths"
    rule = "negative, of three pairs of models or more"
    yield Row(found.claim(name, np.nan, rule, holds=found.ours < 0), YES)
