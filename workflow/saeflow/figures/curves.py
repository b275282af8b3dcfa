"""Sorted latents: one panel per model and recipe, one curve per layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.panels import (
    by_place,
    hooks_of,
    label_outer,
    legend_above,
    panel_grid,
    require_rows,
)
from saeflow.figures.style import INK, use_style

_MAP = "viridis"
_BORDER = {"linestyle": (0, (1, 2)), "linewidth": 0.8}


class Sorted(NamedTuple):
    """What is sorted.

    Attributes
    ----------
    value, rank : str
        Columns: the value, and its place, 1 for the largest.
    label : str
        The y axis.
    border : str | None
        Column with a value at which a dotted line is drawn, where it is finite.
    log : bool
        Whether the y axis is logarithmic; then values of zero are left out.
    """

    value: str
    rank: str
    label: str
    border: str | None = None
    log: bool = False


def sorted_latents(table: pd.DataFrame, what: Sorted) -> Figure:
    """Draw values against their rank; latents whose value is not finite are left out."""
    require_rows(table, what.label)
    with use_style():
        titles, parts = by_place(table, table["sae"])
        colours = layer_colours(hooks_of(table))
        figure, panels = panel_grid(titles, panel_size=(1.75, 1.75))
        for key, ax in panels.items():
            chosen = parts[key]
            for (hook, _), rows in chosen.groupby(["hook", "seed"], sort=False):
                _curve(ax, rows, what, colours[hook])
            if what.log:
                ax.set_yscale("log")
        label_outer(panels.values(), x="Latents, sorted", y=what.label)
        legend_above(figure, _handles(colours, border=what.border is not None))
    return figure


def layer_colours(hooks: list[str]) -> dict[str, str]:
    """Return a colour per hook, from dark to light in the order of the model."""
    places = np.linspace(0.0, 0.85, len(hooks))
    return {hook: to_hex(colormaps[_MAP](place)) for hook, place in zip(hooks, places, strict=True)}


def _curve(ax: Axes, rows: pd.DataFrame, what: Sorted, colour: str) -> None:
    rows = rows[np.isfinite(rows[what.value]) & ((rows[what.value] > 0) | (not what.log))]
    rows = rows.sort_values(what.rank)
    ax.plot(rows[what.rank], rows[what.value], color=colour, linewidth=1.0)
    if what.border is not None and len(rows) and np.isfinite(rows[what.border].iloc[0]):
        ax.axhline(rows[what.border].iloc[0], color=colour, **_BORDER)


def _handles(colours: dict[str, str], *, border: bool) -> list[Line2D]:
    handles = [Line2D([], [], color=colour, label=hook) for hook, colour in colours.items()]
    if border:
        handles.append(Line2D([], [], color=INK, label="border to nearly dead", **_BORDER))
    return handles
