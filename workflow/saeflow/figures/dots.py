"""Dots by layer and method on a logarithmic axis, beside a line at the original's value."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from saeflow.figures.axes import (
    Span,
    arms,
    cut_note,
    layer_axis,
    limit,
    log_ticks,
    mark_cut,
    span_of,
)
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.layers import GROUP_WIDTH, layers_of
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_recipe
from saeflow.figures.style import Look, method_looks, use_style
from saeflow.tables.runs import ORIGINAL

_SLOT = 0.045  # inches, of a method


def dots_by_layer(table: pd.DataFrame, *, value: str, labels: Mapping[str, str]) -> Drawing:
    """Draw a panel per model and recipe (and site), at each layer a dot per method and seed.

    Across each layer goes a line at the value of the original, the mean of its seeds; values are
    positive.
    """
    table, notes = finite(table, [value], positive=[value])
    with use_style():
        looks, places = method_looks(table["method"]), by_recipe(table)
        layers = layers_of(places, len(looks) * _SLOT / GROUP_WIDTH)
        grid = panel_grid(places, size=(2.6, 1.85), widths=layers.widths, sharex=layers.sharex)
        size = max(2.0, min(3.5, 1.2 * 72 * layers.inch * GROUP_WIDTH / len(looks)))
        span = span_of(table, value, log=True)
        n_cut = 0
        for (ax,), place, width in zip(grid.panels, places, grid.widths, strict=True):
            ax.set_yscale("log")
            at = layer_axis(ax, layers.blocks(place), width)
            n_cut += _dots(ax, place.rows, at, value, looks, size, span)
            limit(ax, span)
            log_ticks(ax.yaxis)
        grid.label(x=layers.label, y=labels[value])
        legend_above(grid.figure, [_handle(name, look) for name, look in looks.items()])
    sizes = table[table["method"] == ORIGINAL].groupby(["model", "hook", "sae"]).size()
    seeds = seeds_note(
        sizes, mean="Lines are", one="A dot per method, with its 95 % interval.",
        several="dots are single seeds with their 95 % intervals.",
    )  # fmt: skip
    return Drawing(grid.figure, table, (seeds, *notes, *cut_note(n_cut)))


def _dots(
    ax: Axes,
    chosen: pd.DataFrame,
    positions: Mapping[int, int],
    value: str,
    looks: Mapping[str, Look],
    size: float,
    span: Span,
) -> int:
    tuned = [method for method in looks if method != ORIGINAL]
    n_cut = 0
    for method, look in looks.items():
        rows = chosen[chosen["method"] == method]
        x = rows["block"].map(positions).astype(float)
        if method == ORIGINAL:
            for at, mean in rows[value].groupby(x).mean().items():
                ends = [at - GROUP_WIDTH / 2, at + GROUP_WIDTH / 2]
                ax.plot(ends, [mean, mean], color=look.colour, linewidth=1.0, zorder=1.5)
            continue
        if rows.empty:
            continue
        x += (tuned.index(method) - (len(tuned) - 1) / 2) * GROUP_WIDTH / len(tuned)
        ax.errorbar(
            x, rows[value], yerr=arms(rows, value), elinewidth=0.8, zorder=3, **look.point(size)
        )
        n_cut += mark_cut(ax, x, rows, value, span)
    return n_cut


def _handle(method: str, look: Look) -> Line2D:
    if method == ORIGINAL:
        return Line2D([], [], color=look.colour, linewidth=1.0, label=look.label)
    return Line2D([], [], label=look.label, **look.point(3.5))
