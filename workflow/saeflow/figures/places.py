"""Which part of a table each panel shows: rows of panels mean something, columns too."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saeflow.hooks import SITES, Hook
from saeflow.tables.runs import ORIGINAL

MOST_PANELS = 48
"""In one figure: of more, hooks evenly spaced through the model are shown."""
_LEAST_HOOKS = 4


class Place(NamedTuple):
    """What one panel shows.

    Attributes
    ----------
    row : tuple of str
        Panels with another one begin a new row.
    column : str
        Panels with the same one stand below one another, where a row has room for all.
    title : str
        Names what all panels of the figure do not share.
    rows : DataFrame
        Of the table.
    """

    row: tuple[str, ...]
    column: str
    title: str
    rows: pd.DataFrame


def of_tuned_recipes(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of the recipes that were fine-tuned; all rows where none was."""
    tuned = table.loc[table["method"] != ORIGINAL, "sae"].unique()
    return table[table["sae"].isin(tuned)] if len(tuned) else table


def learned(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of SAEs that learned something: those whose ``baseline`` is empty."""
    return table[table["baseline"].fillna("") == ""]


def spread(things: Sequence[Any], n: int) -> list[Any]:
    """Return at most ``n`` of some things, spread over all; of one the middle."""
    if len(things) <= n:
        return list(things)
    at = np.linspace(0, len(things) - 1, n) if n > 1 else np.array([(len(things) - 1) / 2])
    return [things[i] for i in at.round().astype(int)]


def hooks_of(table: pd.DataFrame) -> list[str]:
    """Return the hooks in the order in which a forward pass meets them."""
    return sorted(table["hook"].unique(), key=Hook.parse)


def sites_of(table: pd.DataFrame) -> list[str]:
    """Return the sites in the order in which a forward pass meets them."""
    return sorted(table["site"].unique(), key=SITES.index)


def by_hook(table: pd.DataFrame) -> list[Place]:
    """Return a panel per model and hook; a row per block where each has the same sites."""
    return list(_by_hook(table, ()))


def by_recipe_and_hook(table: pd.DataFrame, side: pd.Series | None = None) -> list[Place]:
    """Return a panel per model, recipe and hook, a row of panels per recipe.

    Parameters
    ----------
    table
        Columns model, hook, site, block, sae.
    side
        Of each row a further distinction in words, of which each has a row of panels too.
    """
    if side is None:
        return list(_by_hook(table, ["sae"]))
    return list(_by_hook(table.assign(side=side), ["sae", "side"]))


def _by_hook(table: pd.DataFrame, inner: Sequence[str]) -> Iterator[Place]:
    hooks, several = hooks_of(table), table["model"].nunique() > 1
    sites, blocks = table["site"].unique(), table["block"].unique()
    whole = len(sites) * len(blocks) == len(hooks) and min(len(sites), len(blocks)) > 1
    for model, of_model in table.groupby("model", sort=False):
        groups = of_model.groupby(list(inner), sort=False) if inner else [((), of_model)]
        for key, group in groups:
            for hook in hooks:
                rows = group[group["hook"] == hook]
                if rows.empty:
                    continue
                row, column = (str(model), *key), hook
                if len(hooks) == 1:  # all in one column would be tall and narrow
                    row, column = (str(model),), " ".join(key)
                elif whole:
                    found = Hook.parse(hook)
                    row, column = (*row, str(found.block)), found.site
                title = ", ".join([*([str(model)] if several else []), hook, *key])
                yield Place(row, column, title, rows)


def by_site(table: pd.DataFrame) -> list[Place]:
    """Return a place per model and site; its title names those of which there are several."""
    models, sites = table["model"].unique(), sites_of(table)
    found = []
    for model, site in itertools.product(models, sites):
        rows = table[(table["model"] == model) & (table["site"] == site)]
        if len(rows):
            names = [*([model] if len(models) > 1 else []), *([site] if len(sites) > 1 else [])]
            found.append(Place((model,), site, ", ".join(names), rows))
    return found


def by_recipe(table: pd.DataFrame) -> list[Place]:
    """Return a panel per model and recipe, and per site with a row per recipe where several are.

    So the layers of a panel are those of one site, in their order.
    """
    sites, several = sites_of(table), table["model"].nunique() > 1
    found = []
    for (model, recipe), group in table.groupby(["model", "sae"], sort=False):
        for site in sites:
            rows = group[group["site"] == site]
            if rows.empty:
                continue
            names = [*([model] if several else []), recipe, *([site] if len(sites) > 1 else [])]
            row, column = ((model, recipe), site) if len(sites) > 1 else ((model,), recipe)
            found.append(Place(row, column, ", ".join(names), rows))
    return found


def shown_hooks(table: pd.DataFrame, n_rows: int = 1) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows of hooks whose panels one can look at, and a note on the others.

    Parameters
    ----------
    table
        Columns hook and block.
    n_rows
        Panels per hook.
    """
    hooks, blocks = hooks_of(table), sorted(table["block"].unique())
    if len(hooks) * n_rows <= MOST_PANELS:
        return table, ()
    n_sites = -(-len(hooks) // len(blocks))
    n_blocks = max(2, max(_LEAST_HOOKS, MOST_PANELS // n_rows) // n_sites)
    if n_blocks >= len(blocks):
        return table, ()
    rows = table[table["block"].isin(spread(blocks, n_blocks))]
    n = rows["hook"].nunique()
    note = f"Shown are {n} of {len(hooks)} hooks, spread over the model; the table has all."
    return rows, (note,)
