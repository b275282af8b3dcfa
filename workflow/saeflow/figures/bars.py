"""Values by layer and method: bars for means over seeds, lines where there are too many bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from saeflow.figures.axes import (
    Span,
    arms,
    cut_note,
    few_ticks,
    layer_axis,
    limit,
    mark_cut,
    span_of,
)
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.layers import GROUP_WIDTH, Layers, layers_of
from saeflow.figures.legends import legend_above, line_handles
from saeflow.figures.lines import mean_line
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_recipe
from saeflow.figures.style import INK, MUTED, REFERENCE, Look, method_looks, use_style

NO_LABELS: Mapping[str, str] = {}
_HEIGHT = 1.85
_SLOT = 0.045  # inches, of a bar; each further seed takes some more
_PER_SEED = 0.008
_SEED = {
    "color": INK,
    "marker": "o",
    "markerfacecolor": "white",
    "markeredgewidth": 0.6,
    "linestyle": "",
}


class _Style(NamedTuple):
    """What all panels of a figure have in common."""

    value: str
    looks: Mapping[str, Look]
    base: float
    span: Span
    layers: Layers


def bars_by_layer(
    table: pd.DataFrame,
    *,
    value: str,
    label: str = "",
    line: tuple[float, str] | None = None,
    bars: str = "method",
    labels: Mapping[str, str] = NO_LABELS,
) -> Drawing:
    """Draw a panel per model and recipe (and site), a group of bars per layer, a bar per method.

    Where bars would be too thin, a line per method goes through the means of the layers.

    Parameters
    ----------
    table, value, label, labels
        As of `saeflow.figures.drawing`.
    line
        A horizontal reference, on which the bars stand, and its name in the legend; else they
        stand on zero.
    bars
        Another column with names of methods, of which each has a bar.
    """
    label = labels.get(value, label)
    table, notes = finite(table.assign(method=table[bars]), [value])
    base = 0.0 if line is None else line[0]
    with use_style():
        looks, places = method_looks(table["method"]), by_recipe(table)
        sizes = table.groupby(["model", "hook", "sae", "method"]).size()
        slot = _SLOT + _PER_SEED * (sizes.max() - 1)
        layers = layers_of(places, len(looks) * slot / GROUP_WIDTH)
        grid = panel_grid(places, size=(1.75, _HEIGHT), widths=layers.widths, sharex=layers.sharex)
        style = _Style(value, looks, base, span_of(table, value, base=base), layers)
        draw = _lines if layers.narrow else _bars
        n_cut = 0
        for (ax,), place, width in zip(grid.panels, places, grid.widths, strict=True):
            n_cut += draw(ax, place.rows, layer_axis(ax, layers.blocks(place), width), style)
            limit(ax, style.span)
            few_ticks(ax)
            if line is not None:
                ax.axhline(line[0], **REFERENCE)
        grid.label(x=layers.label, y=label)
        legend_above(grid.figure, _handles(looks, line, lines=layers.narrow))
    seeds = _narrow_note(sizes) if layers.narrow else seeds_note(
        sizes, mean="Bars are", one="The dot at the end of a bar has the 95 % interval.",
        several="dots are single seeds with their 95 % intervals.",
    )  # fmt: skip
    return Drawing(grid.figure, table, (seeds, *notes, *cut_note(n_cut)))


def _narrow_note(sizes: pd.Series) -> str:
    return seeds_note(
        sizes, mean="Lines go through",
        one="A line per method; upright strokes are 95 % intervals.",
        several="upright strokes reach from the lowest to the highest end of their 95 % intervals.",
    )  # fmt: skip


def _bars(ax: Axes, chosen: pd.DataFrame, positions: Mapping[int, int], style: _Style) -> int:
    methods = [name for name in style.looks if name in set(chosen["method"])]
    width = GROUP_WIDTH / len(style.looks)  # the same in panels with fewer methods
    n_cut = 0
    for index, method in enumerate(methods):
        offset = (index - (len(methods) - 1) / 2) * width
        for block, rows in chosen[chosen["method"] == method].groupby("block"):
            x = positions[block] + offset
            height = rows[style.value].mean() - style.base
            look = style.looks[method].bar()
            ax.bar(x, height, width * 0.92, style.base, zorder=2, **look)
            n_cut += _seeds(ax, rows.sort_values("seed"), x, width, style)
    return n_cut


def _seeds(ax: Axes, rows: pd.DataFrame, x: float, width: float, style: _Style) -> int:
    """Draw each seed's value and interval, side by side within the bar."""
    n = len(rows)
    at = x + (np.arange(n) - (n - 1) / 2) * width * 0.8 / n
    size = min(2.0, 1.6 * 72 * style.layers.inch * width / n)
    ax.errorbar(
        at, rows[style.value], yerr=arms(rows, style.value), elinewidth=0.6, ecolor=MUTED,
        zorder=3, markersize=size, **_SEED,
    )  # fmt: skip
    return mark_cut(ax, at, rows, style.value, style.span)


def _lines(ax: Axes, chosen: pd.DataFrame, positions: Mapping[int, int], style: _Style) -> int:
    n_cut = 0
    shift = 0.4 / len(style.looks)  # so that the strokes of methods do not hide one another
    for index, (method, look) in enumerate(style.looks.items()):
        rows = chosen[chosen["method"] == method]
        x = rows["block"].map(positions) + (index - len(style.looks) / 2) * shift
        n_cut += mean_line(ax, rows, x, style.value, look, style.span, 3.0)
    return n_cut


def _handles(
    looks: Mapping[str, Look], line: tuple[float, str] | None, *, lines: bool
) -> list[Artist]:
    handles: list[Artist] = (
        [*line_handles(looks)]
        if lines
        else [
            *(Patch(label=look.label, **look.bar()) for look in looks.values()),
            Line2D([], [], label="a seed, 95 % interval", markersize=2.0, **_SEED),
        ]
    )
    if line is not None:
        handles.append(Line2D([], [], label=line[1], **REFERENCE))
    return handles
