"""Suppression against sparsity, an SAE a point, in the colour of its architecture."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.panels import arms, by_place, l0_axis, legend_above, pair_grid, require_rows
from saeflow.figures.style import INK, Look, architecture_looks, use_style
from saeflow.metrics.registry import METRICS

TABLE = "suppression_by_architecture"
TITLE = "Suppression by architecture"
QUANTITIES = ("reconstruction_bias", "l2_ratio")
_AXIS = {"reconstruction_bias": "Rel. reconstr. bias", "l2_ratio": METRICS["l2_ratio"].axis}
_LINE = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 2))}


def draw(table: pd.DataFrame) -> Figure:
    """Draw two panels per hook, the bias above the L2 ratio; dashed: no suppression.

    A thin line joins the SAEs of one architecture and seed in the order of their L0.
    """
    require_rows(table, "suppression by architecture")
    titles, parts = by_place(table, table["hook"])
    with use_style():
        looks = architecture_looks(table["architecture"])
        figure, pairs = pair_grid(titles, sharey=True)
        for key, pair in pairs.items():
            chosen = parts[key]
            for ax, quantity in zip(pair, QUANTITIES, strict=True):
                _points(ax, chosen, quantity, looks)
                l0_axis(ax, table["l0"])
                if ax.get_subplotspec().is_first_col():
                    ax.set_ylabel(_AXIS[quantity])
            pair[-1].set_xlabel(METRICS["l0"].axis)
        handles = [Line2D([], [], label=look.label, **_mark(look)) for look in looks.values()]
        legend_above(figure, [*handles, Line2D([], [], label="no suppression", **_LINE)])
    return figure


def _points(ax: Axes, chosen: pd.DataFrame, value: str, looks: dict[str, Look]) -> None:
    ax.axhline(1.0, **_LINE)
    for (architecture, _), rows in chosen.groupby(["architecture", "seed"], sort=False):
        look, rows = looks[architecture], rows.sort_values("l0")
        ax.plot(rows["l0"], rows[value], color=look.colour, linewidth=0.6, zorder=1.5)
        ax.errorbar(
            rows["l0"], rows[value], xerr=arms(rows, "l0"), yerr=arms(rows, value),
            elinewidth=0.8, zorder=3, **_mark(look),
        )  # fmt: skip


def _mark(look: Look) -> dict[str, Any]:
    """Return how a point is drawn: hollow, for those of two architectures may coincide."""
    return {
        "color": look.colour,
        "marker": look.marker,
        "markersize": 4.5,
        "fillstyle": "none",
        "linestyle": "",
    }
