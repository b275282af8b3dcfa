"""What goes with scaling and increase: correlations by layer, plain and partial."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.panels import (
    arms,
    by_place,
    label_outer,
    layer_axis,
    layer_label,
    legend_above,
    panel_grid,
    require_rows,
)
from saeflow.figures.style import INK, SERIES, use_style

TABLE = "correlations"
TITLE = "Correlations of scaling and increase with strength and frequency"
CAUSES = {"strength": (SERIES[1], "log strength"), "frequency": (SERIES[0], "log frequency")}
KINDS = {"plain": "full", "partial": "none"}
SOLVERS = {"steps": "by steps", "exact": "closed form"}
_OFFSET = 0.12


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of correlations of the SAEs whose decoder was fitted.

    One panel per effect, recipe and solver, a group of points per layer; hollow points are partial
    correlations, with the other cause held.
    """
    require_rows(table, "correlations")
    table = table[(table["fit"] == "decoder") & table["solver"].isin(SOLVERS)]
    require_rows(table, "correlations of fine-tuned decoders")
    table = table.sort_values("solver", key=lambda s: s.map(list(SOLVERS).index), kind="stable")
    with use_style():
        places = table["effect"] + ", " + table["sae"] + "\n" + table["solver"].map(SOLVERS)
        titles, parts = by_place(table, places)
        figure, panels = panel_grid(titles, panel_size=(1.9, 1.65))
        for key, ax in panels.items():
            positions = layer_axis(ax, table)
            _points(ax, parts[key], positions)
        label_outer(panels.values(), x=layer_label(table), y="Pearson r")
        legend_above(figure, _handles())
    return figure


def _points(ax: Axes, chosen: pd.DataFrame, positions: dict[str, int]) -> None:
    ax.axhline(0, color=INK, linewidth=0.6)
    combinations = [(cause, kind) for cause in CAUSES for kind in KINDS]
    for index, (cause, kind) in enumerate(combinations):
        rows = chosen[(chosen["cause"] == cause) & (chosen["kind"] == kind)]
        x = rows["hook"].map(positions) + (index - 1.5) * _OFFSET
        ax.errorbar(
            x, rows["r"], yerr=arms(rows, "r"), linestyle="", marker="o",
            markersize=3.5, color=CAUSES[cause][0], fillstyle=KINDS[kind], elinewidth=0.8,
        )  # fmt: skip
    ax.set_ylim(-1.05, 1.05)


def _handles() -> list[Line2D]:
    common = {"linestyle": "", "marker": "o", "markersize": 3.5}
    causes = [
        Line2D([], [], color=colour, label=name, **common) for colour, name in CAUSES.values()
    ]
    partial = Line2D([], [], color=INK, fillstyle="none", label="the other held", **common)
    return [*causes, partial]
