"""Two trainings of one size of model, deduplicated text or not: bars by layer. Read `by_layer`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from saeflow.figures.axes import few_ticks, layer_axis
from saeflow.figures.drawing import Drawing
from saeflow.figures.layers import GROUP_WIDTH, layers_of
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_recipe
from saeflow.figures.style import INK, series_looks, use_style
from saeflow.metrics.similarity import ALIGNED, CORRELATION, COSINE
from saeflow.studies.universality.post.directed import (
    OTHER,
    OWN,
    directed,
    of_one_size,
    of_own,
    of_table,
    to_draw,
)
from saeflow.tables.runs import natural

LEVELS = {
    COSINE: ("MCS", ("null_gaussian",)),
    ALIGNED: ("MCS after rotation", ("null_gaussian",)),
    CORRELATION: ("Correlation", ("null_tokens", "null_random")),
}
"""Similarity -> the label of its axes, and the nulls of which the largest is drawn."""
TRAININGS = ("model", "checkpoint")
"""What two SAEs differ in whose models are two trainings of one size."""
_SLOT, _HEIGHT = 0.07, 1.45  # inches: of a bar, of an axes
_NULL = {"color": INK, "linewidth": 1.2}
_ENDS = {"color": INK, "linewidth": 0.6}


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn: trainings of one size, or all models where there are none of these.

    ``pair`` names both models.
    """
    rows = of_one_size(table, *TRAININGS)
    rows = directed(table, *TRAININGS) if rows.empty else rows
    rows = to_draw(rows[rows["quantity"].isin(LEVELS)], "SAEs of different models")
    names = zip(rows[f"{OWN}_model"], rows[f"{OTHER}_model"], strict=True)
    return rows.assign(pair=[" and ".join(sorted(both, key=natural)) for both in names])


def by_layer(table: pd.DataFrame) -> Drawing:
    """Draw a panel per recipe and site, with axes per similarity and bars per layer and pair."""
    rows = _compared(table)
    of_pairs = rows.sort_values(f"{OWN}_d_in", kind="stable")["pair"]
    panels = of_own(rows).assign(model="")
    levels = {name: level for name, level in LEVELS.items() if name in set(panels["quantity"])}
    with use_style():
        looks = {name: colour for name, (colour, _) in series_looks(of_pairs).items()}
        places = by_recipe(panels)
        layers = layers_of(places, len(looks) * _SLOT / GROUP_WIDTH)
        grid = panel_grid(
            places, size=(2.0, _HEIGHT), widths=layers.widths, stacked=len(levels),
            sharex=layers.sharex,
        )  # fmt: skip
        for panel, place, width in zip(grid.panels, places, grid.widths, strict=True):
            for ax, (quantity, (_, nulls)) in zip(panel, levels.items(), strict=True):
                at = layer_axis(ax, layers.blocks(place), width)
                own = place.rows[place.rows["quantity"] == quantity]
                _bars(ax, own.assign(null=own[list(nulls)].max(axis=1)), at, looks)
                few_ticks(ax)
                ax.set_ylim(0, max(1.0, 1.02 * own["value"].max()) if len(own) else 1.0)
        grid.label(x=layers.label, y=[label for label, _ in levels.values()])
        handles = [Patch(color=colour, label=name) for name, colour in looks.items()]
        handles.append(Line2D([], [], label="by chance, or with random weights", **_NULL))
        legend_above(grid.figure, handles)
    notes = ["Bars are means over both directions, and seeds; strokes reach from least to largest."]
    if COSINE not in levels:
        notes.append("No two of these models have hooks of one width: there is no MCS of them.")
    return Drawing(grid.figure, of_table(table, rows), tuple(notes))


def _bars(ax: Axes, rows: pd.DataFrame, at: Mapping[int, int], looks: Mapping[str, str]) -> None:
    """Draw the bars of one axes, each with its null as a line across it."""
    width = GROUP_WIDTH / len(looks)
    for index, (name, colour) in enumerate(looks.items()):
        layers = rows[rows["pair"] == name].groupby("block")
        means, ends = layers[["value", "null"]].mean(), layers["value"].agg(["min", "max"])
        x = np.array([at[block] for block in means.index], float)
        x += (index - (len(looks) - 1) / 2) * width
        ax.bar(x, means["value"], 0.92 * width, color=colour, zorder=2)
        ax.vlines(x, ends["min"], ends["max"], zorder=3, **_ENDS)
        ax.hlines(means["null"], x - width / 2, x + width / 2, zorder=3, **_NULL)
