"""Similarities read by whose features are looked for in which SAE. Read `directed`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from saeflow.errors import DataError
from saeflow.studies.universality.comparisons import NULLS
from saeflow.studies.universality.pairs.tables import BACKWARD, FORWARD
from saeflow.studies.universality.reading import FIRST, OF_SAE, SECOND

OWN, OTHER = "own", "other"
STATISTIC = "mean_max"
UPWARD, DOWNWARD = "small in large", "large in small"
"""Ways to look at two SAEs of different widths: whose features are looked for in which."""
_LADDER = ("model", "dataset", "packing", "hook", "seed", "architecture")
_SAE = ("model", "dataset", "packing", "hook", "sae", "seed")


def directed(table: pd.DataFrame, *differ: str, nulls: bool = False) -> pd.DataFrame:
    """Return the mean best similarities, each pair once.

    Parameters
    ----------
    *differ
        In what the two SAEs differ, and in nothing else; several are one or the other. All pairs
        by default.
    nulls
        Whether those that should have nothing in common are among them.

    Returns
    -------
    DataFrame
        Its columns, with ``own_...`` of the SAE whose features are looked for and ``other_...`` of
        that in which they are, in the place of first and second.
    """
    kept = table["statistic"] == STATISTIC
    if differ:
        kept &= table["differ"].isin(differ)
    if not nulls:
        kept &= ~table["comparison"].isin(NULLS)
    parts = []
    for direction, own, other in ((FORWARD, FIRST, SECOND), (BACKWARD, SECOND, FIRST)):
        rows = table[kept & (table["direction"] == direction)]
        names = {f"{own}_{name}": f"{OWN}_{name}" for name in OF_SAE}
        names |= {f"{other}_{name}": f"{OTHER}_{name}" for name in OF_SAE}
        parts.append(rows.rename(columns=names))
    found = pd.concat(parts).sort_index()
    both = [f"{side}_{name}" for side in (OWN, OTHER) for name in _SAE]
    null = found["comparison"].where(found["comparison"].isin(NULLS), "")
    repeated = found.assign(null=null).duplicated([*both, "quantity", "null"])
    return found[~repeated]


def of_table(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the table from which those of `directed` are."""
    return table.loc[rows.index.unique().sort_values()]


def to_draw(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return rows of `directed` of which there have to be some.

    Raises
    ------
    DataError
        If there are none: what was planned could not be measured.
    """
    if rows.empty:
        raise DataError(
            "there is nothing to draw: of the pairs that the figure shows none was measured",
            expected=what,
            got="none",
        )
    return rows


def of_own(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of places (model, hook, site, block, sae, seed) as of the own SAE."""
    names = ("model", "hook", "site", "block", "sae", "seed")
    return table.assign(**{name: table[f"{OWN}_{name}"] for name in names})


def of_one_size(table: pd.DataFrame, *differ: str) -> pd.DataFrame:
    """Return the pairs of models whose hooks have the same width.

    Such are two trainings of one size, and between them decoder rows can be compared.

    Parameters
    ----------
    *differ
        "model", "checkpoint" or both: what may be different.

    Returns
    -------
    DataFrame
        Of `directed`.
    """
    rows = directed(table, *differ)
    return rows[rows[f"{OWN}_d_in"] == rows[f"{OTHER}_d_in"]]


def against_widest(table: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs with the widest SAE of each model, hook, seed and architecture.

    Returns
    -------
    DataFrame
        Of `directed`, with ``way``, `UPWARD` or `DOWNWARD`, and ``expansion``, of the smaller one.
    """
    rows = directed(table, "expansion")
    both = rows[[f"{OWN}_expansion", f"{OTHER}_expansion"]]
    rows = rows.assign(
        way=np.where(both.iloc[:, 0] < both.iloc[:, 1], UPWARD, DOWNWARD),
        expansion=both.min(axis=1),
        widest=both.max(axis=1),
    )
    group = [f"{OWN}_{name}" for name in _LADDER]
    of_group = rows.groupby(group, sort=False)["widest"].transform("max")
    return rows[rows["widest"] == of_group]
