"""The additive increase of latents against what the penalty is predicted to have taken."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.panels import label_outer, legend_above, panel_grid, require_rows, title_of
from saeflow.figures.style import INK, Look, method_looks, use_style

TABLE = "shift"
TITLE = "Additive increase against c d / 2"
_LINE = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 2))}


def draw(table: pd.DataFrame) -> Figure:
    """Draw the medians and quartiles over live latents; dashed: increase = c d / 2."""
    require_rows(table, "increases")
    with use_style():
        looks = method_looks(table["method"])
        keys = list(dict.fromkeys(zip(table["model"], table["hook"], strict=True)))
        figure, panels = panel_grid(
            {key: title_of(table, *key) for key in keys}, panel_size=(1.75, 1.65)
        )
        for (model, hook), ax in panels.items():
            _panel(ax, table[(table["model"] == model) & (table["hook"] == hook)], looks)
        label_outer(panels.values(), x="Predicted, c d / 2", y="Increase of the mean activation")
        handles = [
            Line2D([], [], color=look.colour, marker=look.marker, linestyle="", label=look.label)
            for look in looks.values()
        ]
        legend_above(figure, [*handles, Line2D([], [], label="as predicted", **_LINE)])
    return figure


def _panel(ax: Axes, chosen: pd.DataFrame, looks: dict[str, Look]) -> None:
    ax.axline((0, 0), slope=1, **_LINE)
    for index, (method, look) in enumerate(looks.items()):
        rows = chosen[chosen["method"] == method]
        # side by side, or the methods of one penalty hide one another
        x = rows["predicted"] * (1 + 0.03 * (index - (len(looks) - 1) / 2))
        arms = np.stack(
            [rows["increase"] - rows["increase_low"], rows["increase_high"] - rows["increase"]]
        )
        ax.errorbar(
            x, rows["increase"], yerr=arms, linestyle="", color=look.colour, marker=look.marker,
            markersize=4, elinewidth=0.8,
        )  # fmt: skip
    ax.set_xlim(left=0)
