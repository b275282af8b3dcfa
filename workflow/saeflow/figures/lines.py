"""Several quantities by layer as lines, each with a look of its own; panels per recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from saeflow.figures.axes import (
    Span,
    arms,
    cut_note,
    few_ticks,
    layer_axis,
    limit,
    log_ticks,
    mark_cut,
    span_of,
)
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.layers import GROUP_WIDTH, layers_of
from saeflow.figures.legends import legend_above, line_handles
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_recipe
from saeflow.figures.style import REFERENCE, Look, use_style

_SLOT = 0.05  # inches, of a line's points at a layer
_SHIFT, _STEP = 0.5, 0.08  # of a layer: so far apart are the points of all lines, and of two


class Level(NamedTuple):
    """One of the axes that a panel has, from the top.

    Attributes
    ----------
    label : str
        Of its vertical axis.
    log : bool
        Whether that is logarithmic.
    line : tuple of float and str, or None
        A horizontal reference, and its name in the legend.
    """

    label: str
    log: bool = False
    line: tuple[float, str] | None = None


def of_level(
    rows: pd.DataFrame, series: pd.Series | str, value: str, level: str = ""
) -> pd.DataFrame:
    """Return rows as `lines_by_layer` draws a column of theirs; its level has the same name."""
    ends = {
        f"value{end}": pd.to_numeric(rows[f"{value}{end}"]) if f"{value}{end}" in rows else np.nan
        for end in ("", "_low", "_high")
    }
    return rows.assign(series=series, level=level or value, **ends)


def lines_by_layer(
    table: pd.DataFrame,
    looks: Mapping[str, Look],
    levels: Mapping[str, Level],
    *,
    height: float = 1.9,
) -> Drawing:
    """Draw a panel per model and recipe (and site), and in it a line per series.

    Lines go through means over seeds; an upright stroke reaches from the lowest to the highest end
    of the intervals of a point.

    Parameters
    ----------
    table
        With ``level`` and ``series``, where and as what a row is drawn, and ``value``.
    looks
        Series -> its look, in the order of the legend; those that the table lacks are left out.
    levels
        Level -> its axes, from the top.
    height
        Of one axes, in inches.
    """
    parts = [
        finite(rows, ["value"], positive=["value"] if levels[name].log else [])
        for name, rows in table.groupby("level", sort=False)
    ]
    table = pd.concat([rows for rows, _ in parts])
    notes = [note for _, found in parts for note in found]
    looks = {name: look for name, look in looks.items() if name in set(table["series"])}
    levels = {name: level for name, level in levels.items() if name in set(table["level"])}
    with use_style():
        places = by_recipe(table)
        layers = layers_of(places, len(looks) * _SLOT / GROUP_WIDTH)
        grid = panel_grid(
            places, size=(2.0, height), widths=layers.widths, stacked=len(levels),
            sharex=layers.sharex,
        )  # fmt: skip
        n_cut = 0
        for depth, (name, level) in enumerate(levels.items()):
            own = table[table["level"] == name]
            span = span_of(own, "value", log=level.log, base=level.line[0] if level.line else None)
            for panel, place, width in zip(grid.panels, places, grid.widths, strict=True):
                ax, at = panel[depth], layer_axis(panel[depth], layers.blocks(place), width)
                if level.log:
                    ax.set_yscale("log")
                n_cut += _lines(ax, place.rows[place.rows["level"] == name], at, looks, span)
                limit(ax, span)
                log_ticks(ax.yaxis) if level.log else few_ticks(ax)
                if level.line:
                    ax.axhline(level.line[0], **REFERENCE)
        grid.label(x=layers.label, y=[level.label for level in levels.values()])
        lines = {level.line[1]: None for level in levels.values() if level.line}
        references = [Line2D([], [], label=name, **REFERENCE) for name in lines]
        legend_above(grid.figure, [*line_handles(looks), *references])
    return Drawing(grid.figure, table, (*notes, *cut_note(n_cut)))


def _lines(
    ax: Axes, rows: pd.DataFrame, at: Mapping[int, int], looks: Mapping[str, Look], span: Span
) -> int:
    n_cut = 0
    for index, (name, look) in enumerate(looks.items()):
        shift = (index - (len(looks) - 1) / 2) * min(_SHIFT / len(looks), _STEP)
        own = rows[rows["series"] == name]
        n_cut += mean_line(ax, own, own["block"].map(at) + shift, "value", look, span)
    return n_cut


def mean_line(
    ax: Axes,
    rows: pd.DataFrame,
    x: pd.Series,
    value: str,
    look: Look,
    span: Span,
    size: float = 3.5,
) -> int:
    """Draw a line through the means at each ``x``, with upright strokes over all intervals there.

    Returns how many values or intervals go beyond the ends of the axis.
    """
    if rows.empty:
        return 0
    below, above = arms(rows, value)
    low = rows[value] - below
    if ax.get_yscale() == "log":
        low = np.where(low > 0, low, span.low)
    at = rows.assign(x=x, low=low, high=rows[value] + above).groupby("x")
    points = look.point(size) | {"linestyle": look.line()["linestyle"]}
    ax.plot(at[value].mean(), linewidth=0.8, zorder=2.5, **points)
    ends = at["low"].min(), at["high"].max()
    ax.vlines(ends[0].index, *ends, color=look.colour, linewidth=0.6, zorder=2)
    return mark_cut(ax, x, rows, value, span)
