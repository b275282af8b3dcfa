"""The table of how similarities are distributed over features. Read `distributions`.

A mean of best matches can be that of features that are all alike, or of some that are found in the
other SAE and others that are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from saeflow.metrics.similarity import QUANTITIES, column
from saeflow.studies.universality import reading
from saeflow.studies.universality.pairs.tables import CHANCE, DIRECTIONS, SIZES, about
from saeflow.studies.universality.reading import Pairs, compared
from saeflow.tables.runs import Run

EDGES = np.linspace(0, 1, 51)
"""Of bins; what is below the first is counted in it."""
MATCHES = "matches"
"""What is distributed, beside what chance gives (`CHANCE`)."""


def distributions(runs: Sequence[Run], *, pairs: Pairs) -> pd.DataFrame:
    """Return histograms of the best similarity of each live feature.

    Returns
    -------
    DataFrame
        One row per pair, direction, ``quantity``, ``what`` is counted (`MATCHES`, or what of
        `CHANCE` there is) and filled bin from ``low`` up to ``high``: ``n_features``, with the
        ``mean`` of the similarity over all of them.
    """
    found, named = [], []
    bins: list[np.ndarray] = []
    for at, pair in enumerate(compared(runs, pairs)):
        found.append(about(pair))
        for side, _, _ in pair.directions():
            table = pair.side(side)
            for quantity in (name for name in QUANTITIES if name in table):
                for what, name in _columns(table, quantity):
                    values = table[name].to_numpy(float)
                    named.append((at, DIRECTIONS[side], quantity, what, values.mean()))
                    bins.append(np.histogram(np.clip(values, EDGES[0], EDGES[-1]), EDGES)[0])
    of_what = ["direction", "quantity", "what", "mean"]
    rows = pd.DataFrame(named, columns=["pair", *of_what])
    counts = np.reshape(bins, (-1, len(EDGES) - 1)).astype(int)
    which, filled = np.nonzero(counts)
    rows = rows.iloc[which].reset_index(drop=True)
    rows = rows.assign(low=EDGES[filled], high=EDGES[filled + 1], n_features=counts[which, filled])
    own = pd.DataFrame(found, columns=[*reading.COLUMNS, *SIZES])
    own = own.iloc[rows["pair"]].reset_index(drop=True)
    last = [*of_what[:-1], "low", "high", "n_features", "mean"]
    return pd.concat([own[list(reading.COLUMNS)], rows[last], own[list(SIZES)]], axis=1)


def _columns(table: pd.DataFrame, quantity: str) -> Iterator[tuple[str, str]]:
    yield MATCHES, quantity
    for name, chance in CHANCE.items():
        if column(quantity, chance) in table:
            yield name, column(quantity, chance)
