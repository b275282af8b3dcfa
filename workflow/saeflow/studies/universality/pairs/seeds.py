"""Similarities of pairs that are the same but for their seeds, together. Read `over_seeds`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from saeflow.metrics.intervals import LEVEL
from saeflow.studies.universality import reading
from saeflow.studies.universality.pairs.tables import NULLS, SIZES, similarities
from saeflow.studies.universality.reading import Pairs
from saeflow.tables.runs import Run

LEAST = 3
"""Seeds of an interval."""
OVER_SEEDS, OVER_DOCUMENTS, OVER_NOTHING = "seeds", "documents", "none"
"""What intervals are over."""

_SEEDS = [f"{side}_seed" for side in reading.SIDES]
_ENDS = ["value_low", "value_high"]
_SIZES = list(SIZES)


def over_seeds(
    runs: Sequence[Run], *, pairs: Pairs, metrics: Sequence[str], bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return one row for all pairs that are the same but for their seeds.

    Returns
    -------
    DataFrame
        What that function says of pairs, without seeds: means over ``n_pairs`` pairs of SAEs with
        ``n_seeds`` seeds in all. The ``interval`` is over "seeds" where there are three at least:
        the jackknife that leaves out all pairs of one seed, with Student's t for one seed fewer.
        Else it is that of the pair, over "documents", if it is one that has it; else "none".
    """
    table = similarities(runs, pairs=pairs, metrics=metrics, bootstrap=bootstrap, seed=seed)
    own = [name for name in reading.COLUMNS if name not in _SEEDS]
    own += ["direction", "quantity", "statistic"]
    at = table.groupby(own, sort=False, dropna=False).ngroup()
    groups = table.groupby(at)
    means = groups[["value", *NULLS, *_SIZES]].mean()
    n_pairs, (n_seeds, half) = groups.size(), _jackknife(table, at)
    ends = groups[_ENDS].first().where(n_pairs == 1)
    by_seeds = n_seeds >= LEAST
    for end, sign in zip(_ENDS, (-1, 1), strict=True):
        ends[end] = ends[end].mask(by_seeds, means["value"] + sign * half)
    over = np.where(ends[_ENDS[0]].isna(), OVER_NOTHING, OVER_DOCUMENTS)
    means[_SIZES] = means[_SIZES].round().astype(int)
    return pd.concat(
        [
            groups[own].nth(0).set_axis(means.index),
            means[["value"]],
            ends,
            pd.Series(np.where(by_seeds, OVER_SEEDS, over), means.index, name="interval"),
            means[list(NULLS)],
            n_pairs.rename("n_pairs"),
            n_seeds.rename("n_seeds"),
            means[_SIZES],
        ],
        axis=1,
    )


def _jackknife(table: pd.DataFrame, at: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return of each group of rows ``at`` how many seeds it has, and half of its interval."""
    seeds = pd.unique(table[_SEEDS].to_numpy().ravel())
    n = pd.Series(0, at.unique())
    left: dict[Any, pd.Series] = {}
    for seed in seeds:
        has = (table[_SEEDS] == seed).any(axis=1)
        own = has.groupby(at).any()
        n += own
        left[seed] = table["value"].where(~has).groupby(at).mean().where(own)
    values = pd.DataFrame(left)
    squares = values.sub(values.mean(axis=1), axis=0).pow(2).sum(axis=1)
    quantile = stdtrit(np.maximum(n - 1, 1), (1 + LEVEL) / 2)
    return n, quantile * np.sqrt((n - 1) / n * squares)
