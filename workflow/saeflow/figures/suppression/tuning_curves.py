"""The error while SAEs are fine-tuned, and where the closed form ends."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from saeflow.figures.panels import label_outer, legend_above, panel_grid, require_rows, title_of
from saeflow.figures.style import INK, Look, method_looks, use_style

TABLE = "tuning_curves"
TITLE = "Fine-tuning error against tokens"
_EXACT = {"linestyle": (0, (4, 2)), "linewidth": 0.8}


def draw(table: pd.DataFrame) -> Figure:
    """Draw one panel per hook and recipe, one line per method; dashed: the closed form's error."""
    require_rows(table, "fine-tuning logs")
    # With the model in the loop the same weights are fitted to another loss.
    loop = table["solver"] == "kl_mse"
    table = table.assign(fit=table["fit"].where(~loop, table["solver"]))
    with use_style():
        looks = method_looks(table["fit"])
        places = table["hook"] + ", " + table["sae"]
        keys = list(dict.fromkeys(zip(table["model"], places, strict=True)))
        figure, panels = panel_grid(
            {key: title_of(table, *key) for key in keys}, panel_size=(1.75, 1.6), sharey=False
        )
        for (model, place), ax in panels.items():
            _lines(ax, table[(table["model"] == model) & (places == place)], looks)
        label_outer(panels.values(), x="Tokens", y="Mean squared error")
        legend_above(figure, _handles(looks, exact=bool((table["solver"] == "exact").any())))
    return figure


def _lines(ax: Axes, chosen: pd.DataFrame, looks: dict[str, Look]) -> None:
    for (fit, solver, _, _), rows in chosen.groupby(
        ["fit", "solver", "method", "seed"], sort=False
    ):
        if solver == "exact":
            ax.axhline(rows["mse"].iloc[0], color=looks[fit].colour, **_EXACT)
        else:
            ax.plot(rows["tokens"], rows["mse"], color=looks[fit].colour, linewidth=1.0)
    ax.set_yscale("log")
    ax.yaxis.set_minor_formatter(NullFormatter())


def _handles(looks: dict[str, Look], *, exact: bool) -> list[Line2D]:
    handles = [Line2D([], [], color=look.colour, label=look.label) for look in looks.values()]
    if exact:
        handles.append(Line2D([], [], color=INK, label="closed form", **_EXACT))
    return handles
