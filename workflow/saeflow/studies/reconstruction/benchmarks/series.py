"""Which prompt sets and recipes a figure shows, and how who answered is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saeflow.figures.places import Place, learned, sites_of, spread
from saeflow.figures.style import Look

MOST_SERIES = 6
"""Rows of panels in a figure of prompts; of more recipes some are shown, spread over all."""

LOOKS = {
    "neither": Look("#d55e00", "v", "neither"),
    "both": Look("#009e73", "o", "with and without SAE"),
    "baseline_only": Look("#e69f00", "s", "only without SAE"),
    "sae_only": Look("#0072b2", "^", "only with SAE"),
}
"""How prompts are drawn by who answers them, in the order in which they cover one another."""


def without_baselines(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows of SAEs that learned something, if there are any, and a note on the others.

    Parameters
    ----------
    table
        With a column ``baseline``, that is empty for them, or none.
    """
    if "baseline" not in table:
        return table, ()
    kept = learned(table)
    if len(kept) in (0, len(table)):
        return table, ()
    names = ", ".join(dict.fromkeys(table.loc[~table.index.isin(kept.index), "sae"]))
    return kept, (f"Baselines ({names}) are left out; the table has them.",)


def series_of(table: pd.DataFrame, most: int = MOST_SERIES) -> tuple[list[Place], tuple[str, ...]]:
    """Return a place per prompt set, model, recipe and site, and a note on what is left out.

    Parameters
    ----------
    table
        Columns prompts, model, site, block and sae.
    most
        How many; where there are more, of each prompt set as many recipes as that leaves.
    """
    keys = ["prompts", "model", "site"]
    recipes = list(dict.fromkeys(table["sae"]))
    n_sets = table.groupby(keys, sort=False).ngroups
    shown = spread(recipes, max(1, most // n_sets))
    several = [name for name in ("model", "sae") if table[name].nunique() > 1]
    sites = sites_of(table)
    several += ["site"] if len(sites) > 1 else []
    found = []
    chosen = table[table["sae"].isin(shown)]
    for (prompts, model, site, sae), rows in chosen.groupby([*keys, "sae"], sort=False):
        title = ", ".join([prompts, *(rows[name].iloc[0] for name in several)])
        found.append(Place((prompts, model), f"{sae}, {site}", title, rows))
    left = len(recipes) - len(shown)
    notes = (f"Shown are {len(shown)} of {len(recipes)} recipes; the table has all.",) * bool(left)
    if len(found) > most:
        notes += (f"Shown are {most} of {len(found)} series; the table has all.",)
    return found[:most], notes


def shown_rows(series: Sequence[Place]) -> pd.DataFrame:
    """Return the rows that are in a figure."""
    return pd.concat([one.rows for one in series], ignore_index=True)
