"""The additive increase of latents, as a share of what the penalty is predicted to have taken."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.panels import (
    arms,
    by_place,
    few_ticks,
    label_outer,
    legend_above,
    panel_grid,
    require_rows,
)
from saeflow.figures.style import INK, Look, method_looks, use_style

TABLE = "shift"
TITLE = "Additive increase over c d / 2"
_LINE = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 2))}
_GROUP_WIDTH = 0.7


def draw(table: pd.DataFrame) -> Figure:
    """Draw medians and quartiles over live latents, a group per recipe in order of its penalty.

    Dashed: the increase is c d / 2.
    """
    require_rows(table, "increases")
    ends = ["increase", "increase_low", "increase_high"]
    table = table.assign(**{name: table[name] / table["predicted"] for name in ends})
    with use_style():
        looks = method_looks(table["method"])
        titles, parts = by_place(table, table["hook"])
        figure, panels = panel_grid(titles, panel_size=(1.9, 1.75))
        recipes = table.drop_duplicates("sae").sort_values("predicted", kind="stable")
        for key, ax in panels.items():
            chosen = parts[key]
            _panel(ax, chosen, recipes["sae"].tolist(), looks)
            few_ticks(ax)
            names = recipes["sae"] + "\n" + recipes["predicted"].map("{:.3g}".format)
            ax.set_xticks(range(len(names)), names)
        label_outer(panels.values(), x="SAE, and its c d / 2", y="Increase / (c d / 2)")
        handles = [
            Line2D([], [], color=look.colour, marker=look.marker, linestyle="", label=look.label)
            for look in looks.values()
        ]
        legend_above(figure, [*handles, Line2D([], [], label="as predicted", **_LINE)])
    return figure


def _panel(ax: Axes, chosen: pd.DataFrame, recipes: list[str], looks: dict[str, Look]) -> None:
    ax.axhline(1.0, **_LINE)
    ax.axhline(0.0, color=INK, linewidth=0.6)
    width = _GROUP_WIDTH / len(looks)
    for index, (method, look) in enumerate(looks.items()):
        rows = chosen[chosen["method"] == method]
        x = rows["sae"].map(recipes.index) + (index - (len(looks) - 1) / 2) * width
        ax.errorbar(
            x, rows["increase"], yerr=arms(rows, "increase"), linestyle="", color=look.colour,
            marker=look.marker, markersize=4, elinewidth=0.8,
        )  # fmt: skip
    ax.set_xlim(-0.6, len(recipes) - 0.4)
