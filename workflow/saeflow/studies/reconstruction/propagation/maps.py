"""Heat maps of what SAEs at one layer do at later ones: a cell for each pair of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from saeflow.errors import DataError
from saeflow.figures.drawing import Drawing
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, by_site, sites_of
from saeflow.figures.style import INK, use_style
from saeflow.metrics.propagation import DIRECT, FULL, QUANTITIES

NAMES = {"squared_error": "squared error", "l0": "L0", "norm": "activation norm"}
AVERAGES = {
    "change": "ratio of means",
    "mean_change": "mean of ratios",
    "median_change": "median of ratios",
    "published_change": "as published",
}
_WAYS = {FULL: "whole effect", DIRECT: "direct path alone"}

_MOST_ROWS = 4
_SIZE = (2.2, 1.95)  # inches of a panel with its colour bar
_BAR = 0.55  # inches
_MAP, _NOTHING = "RdBu_r", "#dddddd"
_MOST_NUMBERS = 6  # layers up to which cells have room for numbers
_MOST_TICKS = 12
_DARK = 0.6  # of the scale: numbers on colours beyond it are white


def maps_by_recipe(table: pd.DataFrame) -> Drawing:
    """Draw a row of maps per recipe, of the ratio of means.

    Parameters
    ----------
    table
        That of `saeflow.studies.reconstruction.propagation.tables.propagation`.
    """
    table, notes = _alike(table[table["way"] == FULL])
    table, fewer = _few_recipes(table)
    rows = [_row(table[table["sae"] == name], name, "change") for name in _recipes(table)]
    return _maps(rows, (*fewer, *notes))


def maps_by_way(table: pd.DataFrame) -> Drawing:
    """Draw a row of maps of the whole effect and one of the direct path, of one recipe."""
    table, notes = _alike(table)
    table, note = _best(table)
    rows = [_row(table[table["way"] == way], name, "change") for way, name in _WAYS.items()]
    return _maps(rows, (note, *notes))


def maps_by_average(table: pd.DataFrame) -> Drawing:
    """Draw a row of maps per way to average over tokens, of one recipe."""
    table, notes = _alike(table[table["way"] == FULL])
    table, note = _best(table)
    shown = {value: name for value, name in AVERAGES.items() if table[value].notna().any()}
    if len(shown) < len(AVERAGES):
        notes = (*notes, "No context is long enough for the published computation.")
    rows = [_row(table, name, value) for value, name in shown.items()]
    return _maps(rows, (note, *notes), shared=False)


def _alike(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the pairs of one recipe and one site, and a note on seeds."""
    sites = table["later_hook"].str.partition(".")[0]
    table = table[(table["sae"] == table["later_sae"]) & (table["site"] == sites)]
    if table.empty:
        raise DataError(
            "there is nothing to draw: no two layers have an SAE of one recipe at one site",
            expected="at least two hooks of one site",
            got="none",
        )
    n = table["seed"].nunique()
    return table, (f"Cells are means over {n} seeds.",) if n > 1 else ()


def _recipes(table: pd.DataFrame) -> list[str]:
    """Return the recipes in the order of their L0."""
    l0 = table.groupby("sae", sort=False)["later_l0"].mean()
    return [str(name) for name in l0.sort_values(kind="stable").index]


def _few_recipes(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    recipes = _recipes(table)
    most = max(1, _MOST_ROWS // table.groupby(["model", "site"]).ngroups)
    if len(recipes) <= most:
        return table, ()
    at = np.linspace(0, len(recipes) - 1, most).round().astype(int)
    chosen = [recipes[i] for i in at]
    note = f"Shown are {most} of {len(recipes)} recipes, spread over L0; the table has all."
    return table[table["sae"].isin(chosen)], (note,)


def _best(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the rows of the recipe that reconstructs best, and a note that says so."""
    fvu = table.groupby("sae", sort=False)["later_fvu"].mean()
    best = str(fvu.idxmin()) if fvu.notna().any() else _recipes(table)[0]
    return table[table["sae"] == best], f"Shown is {best}, the recipe with the least FVU."


def _row(table: pd.DataFrame, name: str, value: str) -> pd.DataFrame:
    """Return what a row of maps shows: the value, and whether its interval has zero in it."""
    unsure = pd.Series(False, index=table.index)
    if f"{value}_low" in table:
        low, high = table[f"{value}_low"], table[f"{value}_high"]
        unsure = (low <= 0) & (high >= 0) & (low < high)
    return table.assign(row=name, value=table[value].astype(float), unsure=unsure)


def _maps(rows: Sequence[pd.DataFrame], notes: tuple[str, ...], *, shared: bool = True) -> Drawing:
    """Draw a row of maps for each part of the table, a column per quantity.

    ``shared`` is whether all maps of a quantity have one scale of colours.
    """
    everything = pd.concat(rows)
    blocks = sorted({*everything["block"], *everything["later_block"]})
    numbers = len(blocks) <= _MOST_NUMBERS
    with use_style():
        places = list(_places(everything))
        grid = panel_grid(places, size=_SIZE)
        grid.add_beside(_BAR * len(QUANTITIES))
        for (ax,), place in zip(grid.panels, places, strict=True):
            alike = everything["quantity"] == place.column
            values = everything[alike] if shared else place.rows
            end = float(values["value"].abs().max()) or 1.0
            image = _map(ax, place.rows, blocks, Normalize(-end, end), numbers=numbers)
            bar = grid.figure.colorbar(image, ax=ax, aspect=15, pad=0.02)
            bar.locator = MaxNLocator(4, symmetric=True)
            bar.update_ticks()
        sites = sites_of(everything)
        where = f" ({sites[0]})" if len(sites) == 1 else ""
        grid.label(x=f"SAE put in: block{where}", y="Looked at: block")
    marks = "Numbers in brackets" if numbers else "Dots"
    which = "intervals of all seeds have" if everything["seed"].nunique() > 1 else "interval has"
    unsure = f"{marks}: the 95 % {which} zero in it."
    drawn = everything.drop(columns=["row", "value", "unsure"])
    said = (*notes, unsure) if everything["unsure"].any() else notes
    return Drawing(grid.figure, drawn[~drawn.index.duplicated()], said)


def _places(everything: pd.DataFrame) -> Iterator[Place]:
    for site in by_site(everything):
        for name, own in site.rows.groupby("row", sort=False):
            for quantity in QUANTITIES:
                found = own[own["quantity"] == quantity]
                if len(found):
                    title = ", ".join(filter(None, (NAMES[quantity], name, site.title)))
                    yield Place((*site.row, site.column, name), quantity, title, found)


def _map(
    ax: Axes, rows: pd.DataFrame, blocks: Sequence[int], scale: Normalize, *, numbers: bool
) -> Any:
    """Draw one map, and return its image."""
    x, y = blocks[:-1], blocks[1:]
    means = rows.groupby(["later_block", "block"])["value"].mean().unstack()
    values = means.reindex(index=y, columns=x).to_numpy(float)
    unsure = rows.groupby(["later_block", "block"])["unsure"].all().unstack()
    unsure = unsure.reindex(index=y, columns=x).to_numpy() == True  # noqa: E712
    ax.set_facecolor(_NOTHING)
    ax.grid(visible=False)
    image = ax.imshow(values, cmap=_MAP, norm=scale, origin="lower", aspect="auto")
    for axis, own in ((ax.xaxis, x), (ax.yaxis, y)):
        step = -(-len(own) // _MOST_TICKS)
        axis.set_ticks(range(0, len(own), step), [str(block) for block in own[::step]])
    for place in np.argwhere(np.isfinite(values)):
        value, dark = values[tuple(place)], abs(scale(values[tuple(place)]) - 0.5) > _DARK / 2
        text = (f"{value:+.2g}" if value else "0") if numbers else ""
        if unsure[tuple(place)]:
            text = f"({text})" if numbers else "·"
        colour = "white" if dark else INK
        ax.text(*place[::-1], text, ha="center", va="center", fontsize=5.5, color=colour)
    return image
