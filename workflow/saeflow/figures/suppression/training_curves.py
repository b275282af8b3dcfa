"""Training curves: error and sparsity against tokens, one line per recipe and seed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from saeflow.figures.panels import MAX_COLUMNS, legend_above, require_rows, title_of
from saeflow.figures.style import series_looks, use_style
from saeflow.metrics.registry import METRICS

TABLE = "training_curves"
TITLE = "Training curves"
QUANTITIES = ("fvu", "l0")


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of the same name; both axes are logarithmic."""
    require_rows(table, "training logs")
    keys = list(dict.fromkeys(zip(table["model"], table["hook"], strict=True)))
    with use_style():
        looks = series_looks(table["sae"])
        n_columns = min(MAX_COLUMNS, table.groupby("model")["hook"].nunique().max())
        n_rows = -(-len(keys) // n_columns) * len(QUANTITIES)
        size = (max(3.4, 1.75 * n_columns + 0.7), 1.5 * n_rows + 0.6)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True)
        for ax in axes.flat:
            ax.set_visible(False)
        for index, key in enumerate(keys):
            first, column = index // n_columns * len(QUANTITIES), index % n_columns
            chosen = table[(table["model"] == key[0]) & (table["hook"] == key[1])]
            pair = axes[first : first + len(QUANTITIES), column]
            pair[0].set_title(title_of(table, *key))
            _pair(pair, chosen, looks, leftmost=column == 0)
        legend_above(figure, _handles(looks))
    return figure


_AXIS = {"fvu": "Batch FVU", "l0": METRICS["l0"].axis}


def _pair(
    pair: Sequence[Axes],
    chosen: pd.DataFrame,
    looks: dict[str, tuple[str, str]],
    *,
    leftmost: bool,
) -> None:
    """Draw the panels of one hook, one above the other."""
    for ax, quantity in zip(pair, QUANTITIES, strict=True):
        ax.set_visible(True)
        _lines(ax, chosen, quantity, looks)
        ax.tick_params(labelbottom=ax is pair[-1])
        if leftmost:
            ax.set_ylabel(_AXIS[quantity])
    pair[-1].set_xlabel("Training tokens")


def _lines(
    ax: Axes, chosen: pd.DataFrame, quantity: str, looks: dict[str, tuple[str, str]]
) -> None:
    for (sae, _), log in chosen.groupby(["sae", "seed"], sort=False):
        colour, style = looks[sae]
        ax.plot(log["tokens"], log[quantity], color=colour, linestyle=style, linewidth=1.0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())


def _handles(looks: dict[str, tuple[str, str]]) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, linestyle=style, label=name)
        for name, (colour, style) in looks.items()
    ]
