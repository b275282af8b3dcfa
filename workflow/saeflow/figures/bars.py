"""Bars by layer and method: the mean over seeds, each seed a dot with its own interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from saeflow.figures.panels import (
    NO_LABELS,
    arms,
    by_place,
    few_ticks,
    label_outer,
    layer_axis,
    layer_label,
    legend_above,
    panel_grid,
)
from saeflow.figures.style import INK, REFERENCE, Look, method_looks, use_style

_GROUP_WIDTH = 0.8
_MANY = 6  # methods, whose bars want wider panels
_SEED = {
    "color": INK,
    "marker": "o",
    "markersize": 2.0,
    "markerfacecolor": "white",
    "markeredgewidth": 0.6,
}


def bars_by_layer(
    table: pd.DataFrame,
    *,
    value: str,
    label: str = "",
    line: tuple[float, str] | None = None,
    bars: str = "method",
    labels: Mapping[str, str] = NO_LABELS,
) -> Figure:
    """Draw one panel per model and recipe, one group of bars per layer, one bar per method.

    Parameters
    ----------
    table
        Columns model, hook, site, block, sae, seed, method, and ``value`` with ``value_low`` and
        ``value_high``.
    value
        The column to draw.
    label
        The y axis, where it is not the metric ``value``.
    line
        A horizontal reference, on which the bars stand, and its name in the legend; else they
        stand on zero.
    bars
        Another column with names of methods, of which each has a bar.
    labels
        Metric -> axis label.
    """
    label = labels.get(value, label)
    table = table.assign(method=table[bars])
    with use_style():
        looks = method_looks(table["method"])
        titles, parts = by_place(table, table["sae"])
        figure, panels = panel_grid(
            titles,
            panel_size=(1.75 if len(looks) < _MANY else 2.6, 1.85),
        )
        for key, ax in panels.items():
            chosen = parts[key]
            base = 0.0 if line is None else line[0]
            _bars(ax, chosen, layer_axis(ax, table), value, looks, base)
            few_ticks(ax)
            if line is not None:
                # The line would hide behind the axis where all bars are above it.
                ax.use_sticky_edges = False
                ax.axhline(line[0], **REFERENCE)
        label_outer(panels.values(), x=layer_label(table), y=label)
        legend_above(figure, _handles(looks, line))
    return figure


def _bars(
    ax: Axes,
    chosen: pd.DataFrame,
    positions: dict[str, int],
    value: str,
    looks: dict[str, Look],
    base: float,
) -> None:
    methods = [name for name in looks if name in set(chosen["method"])]
    width = _GROUP_WIDTH / len(looks)  # the same in panels with fewer methods
    for index, method in enumerate(methods):
        offset = (index - (len(methods) - 1) / 2) * width
        of_method = chosen[chosen["method"] == method]
        for hook, at_hook in of_method.groupby("hook", sort=False):
            x = positions[hook] + offset
            height = at_hook[value].mean() - base
            ax.bar(x, height, width * 0.92, base, color=looks[method].colour, zorder=2)
            _seeds(ax, at_hook.sort_values("seed"), x, width, value)


def _seeds(ax: Axes, rows: pd.DataFrame, x: float, width: float, value: str) -> None:
    """Draw each seed's value and interval, side by side within the bar."""
    n = len(rows)
    at = x + (np.arange(n) - (n - 1) / 2) * width * 0.8 / n
    ax.errorbar(
        at, rows[value], yerr=arms(rows, value), linestyle="", elinewidth=0.8, capsize=0, zorder=3,
        **_SEED,
    )  # fmt: skip


def _handles(looks: dict[str, Look], line: tuple[float, str] | None) -> list[Artist]:
    handles: list[Artist] = [Patch(color=look.colour, label=look.label) for look in looks.values()]
    handles.append(Line2D([], [], linestyle="", label="a seed, 95 % interval", **_SEED))
    if line is not None:
        handles.append(Line2D([], [], label=line[1], **REFERENCE))
    return handles
