"""Dots by layer and method on a logarithmic axis, beside a line at the original's value."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from saeflow.figures.panels import (
    ORIGINAL,
    arms,
    by_place,
    label_outer,
    layer_axis,
    layer_label,
    legend_above,
    panel_grid,
)
from saeflow.figures.style import Look, method_looks, use_style

_GROUP_WIDTH = 0.8


def dots_by_layer(table: pd.DataFrame, *, value: str, labels: Mapping[str, str]) -> Figure:
    """Draw one panel per model and recipe, one group of dots per layer, a dot per method and seed.

    Across each group goes a line at the value of the original, the mean of its seeds.

    Parameters
    ----------
    table
        Columns model, hook, site, block, sae, seed, method, and ``value`` with ``value_low`` and
        ``value_high``.
    value
        The column to draw, with positive numbers.
    labels
        Metric -> axis label.
    """
    with use_style():
        looks = method_looks(table["method"])
        titles, parts = by_place(table, table["sae"])
        figure, panels = panel_grid(titles, panel_size=(2.6, 1.85))
        for key, ax in panels.items():
            chosen = parts[key]
            _dots(ax, chosen, layer_axis(ax, table), value, looks)
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter(ScalarFormatter())
            ax.yaxis.set_minor_locator(NullLocator())
        label_outer(panels.values(), x=layer_label(table), y=labels[value])
        legend_above(figure, [_handle(name, look) for name, look in looks.items()])
    return figure


def _dots(
    ax: Axes, chosen: pd.DataFrame, positions: dict[str, int], value: str, looks: dict[str, Look]
) -> None:
    width = _GROUP_WIDTH / len(looks)
    for index, (method, look) in enumerate(looks.items()):
        rows = chosen[chosen["method"] == method]
        x = rows["hook"].map(positions).astype(float)
        if method == ORIGINAL:
            for at, mean in rows[value].groupby(x).mean().items():
                ends = [at - _GROUP_WIDTH / 2, at + _GROUP_WIDTH / 2]
                ax.plot(ends, [mean, mean], color=look.colour, linewidth=1.0, zorder=1.5)
            continue
        ax.errorbar(
            x + (index - (len(looks) - 1) / 2) * width, rows[value], yerr=arms(rows, value),
            linestyle="", color=look.colour, marker=look.marker, markersize=3.5, elinewidth=0.8,
            zorder=3,
        )  # fmt: skip


def _handle(method: str, look: Look) -> Line2D:
    if method == ORIGINAL:
        return Line2D([], [], color=look.colour, linewidth=1.0, label=look.label)
    return Line2D([], [], color=look.colour, marker=look.marker, linestyle="", label=look.label)
