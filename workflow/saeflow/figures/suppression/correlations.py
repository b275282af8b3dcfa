"""What goes with scaling and increase: correlations by layer, plain and partial."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.panels import (
    hooks_of,
    label_outer,
    legend_above,
    panel_grid,
    require_rows,
    title_of,
)
from saeflow.figures.scatter import decoder_tuned
from saeflow.figures.style import INK, SERIES, use_style

TABLE = "correlations"
TITLE = "Correlations of scaling and increase with strength and frequency"
CAUSES = {"strength": (SERIES[1], "log strength"), "frequency": (SERIES[0], "log frequency")}
KINDS = {"plain": "full", "partial": "none"}
_OFFSET = 0.12


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of correlations of the SAEs whose decoder was fitted.

    One panel per effect and recipe, a group of points per layer; hollow points are partial
    correlations, with the other cause held.
    """
    require_rows(table, "correlations")
    table = decoder_tuned(table.assign(live=True))
    with use_style():
        places = table["effect"] + ", " + table["sae"]
        keys = list(dict.fromkeys(zip(table["model"], places, strict=True)))
        figure, panels = panel_grid(
            {key: title_of(table, *key) for key in keys}, panel_size=(1.75, 1.65)
        )
        hooks = hooks_of(table)
        for (model, place), ax in panels.items():
            _points(ax, table[(table["model"] == model) & (places == place)], hooks)
        label_outer(panels.values(), x="Hook", y="Pearson r")
        legend_above(figure, _handles())
    return figure


def _points(ax: Axes, chosen: pd.DataFrame, hooks: list[str]) -> None:
    ax.axhline(0, color=INK, linewidth=0.6)
    combinations = [(cause, kind) for cause in CAUSES for kind in KINDS]
    for index, (cause, kind) in enumerate(combinations):
        rows = chosen[(chosen["cause"] == cause) & (chosen["kind"] == kind)]
        x = rows["hook"].map(hooks.index) + (index - 1.5) * _OFFSET
        arms = np.stack([rows["r"] - rows["r_low"], rows["r_high"] - rows["r"]]).astype(float)
        ax.errorbar(
            x, rows["r"], yerr=np.nan_to_num(arms).clip(min=0), linestyle="", marker="o",
            markersize=3.5, color=CAUSES[cause][0], fillstyle=KINDS[kind], elinewidth=0.8,
        )  # fmt: skip
    ax.set_xticks(range(len(hooks)), hooks, rotation=45, ha="right")
    ax.set_ylim(-1.05, 1.05)


def _handles() -> list[Line2D]:
    common = {"linestyle": "", "marker": "o", "markersize": 3.5}
    causes = [
        Line2D([], [], color=colour, label=name, **common) for colour, name in CAUSES.values()
    ]
    partial = Line2D([], [], color=INK, fillstyle="none", label="the other held", **common)
    return [*causes, partial]
