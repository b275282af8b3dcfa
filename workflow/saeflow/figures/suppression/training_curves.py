"""Training curves: error and sparsity against tokens, one line per recipe and seed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from saeflow.figures.panels import by_place, legend_above, pair_grid, require_rows
from saeflow.figures.style import series_looks, use_style
from saeflow.metrics.registry import METRICS

TABLE = "training_curves"
TITLE = "Training curves"
QUANTITIES = ("fvu", "l0")


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of the same name; both axes are logarithmic."""
    require_rows(table, "training logs")
    titles, parts = by_place(table, table["hook"])
    with use_style():
        looks = series_looks(table["sae"])
        figure, pairs = pair_grid(titles, sharey=False)
        for key, pair in pairs.items():
            _pair(pair, parts[key], looks)
        legend_above(figure, _handles(looks))
    return figure


_AXIS = {"fvu": "Batch FVU", "l0": METRICS["l0"].axis}


def _pair(pair: Sequence[Axes], chosen: pd.DataFrame, looks: dict[str, tuple[str, str]]) -> None:
    """Draw the panels of one hook, one above the other."""
    for ax, quantity in zip(pair, QUANTITIES, strict=True):
        _lines(ax, chosen, quantity, looks)
        if ax.get_subplotspec().is_first_col():
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
