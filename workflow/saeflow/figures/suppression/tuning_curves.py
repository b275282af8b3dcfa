"""The error while SAEs are fine-tuned, and where the closed form ends."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from saeflow.figures.panels import (
    by_place,
    few_ticks,
    label_outer,
    legend_above,
    panel_grid,
    require_rows,
)
from saeflow.figures.style import INK, Look, method_looks, use_style

TABLE = "tuning_curves"
TITLE = "Fine-tuning error against tokens"
FROZEN = ("scale", "unrotated_decoder", "decoder")
"""Methods that leave the encoder as it was."""
_SIDES = {True: "frozen", False: "free"}
_EXACT = {"linestyle": (0, (4, 2)), "linewidth": 0.8}


def draw(table: pd.DataFrame) -> Figure:
    """Draw one line per method, those that leave the encoder alone in panels of their own.

    Per recipe there are panels of each hook with the encoder frozen, then of each with it free:
    those reach much lower, at more active latents. Dashed: the closed form's error.
    """
    require_rows(table, "fine-tuning logs")
    # With the model in the loop the same weights are fitted to another loss.
    loop = table["solver"] == "kl_mse"
    frozen = table["fit"].isin(FROZEN)
    table = table.assign(
        fit=table["fit"].where(~loop, table["solver"]),
        place=table["hook"] + ", " + table["sae"] + "\nencoder " + frozen.map(_SIDES),
        free=~frozen,
    ).sort_values(["model", "sae", "free"], kind="stable")
    with use_style():
        looks = method_looks(table["fit"])
        titles, parts = by_place(table, table["place"])
        figure, panels = panel_grid(titles, panel_size=(1.9, 1.6), sharey=False)
        for key, ax in panels.items():
            _lines(ax, parts[key], looks)
        label_outer(panels.values(), x="Tokens (thousands)", y="Mean squared error")
        legend_above(figure, _handles(looks, exact=bool((table["solver"] == "exact").any())))
    return figure


def _lines(ax: Axes, chosen: pd.DataFrame, looks: dict[str, Look]) -> None:
    for (fit, solver, _, _), rows in chosen.groupby(
        ["fit", "solver", "method", "seed"], sort=False
    ):
        if solver == "exact":
            ax.axhline(rows["mse"].iloc[0], color=looks[fit].colour, **_EXACT)
        else:
            colour = looks[fit].colour
            ax.plot(rows["tokens"] / 1000, rows["mse"], color=colour, linewidth=1.0)
    if chosen["free"].any():
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        few_ticks(ax)


def _handles(looks: dict[str, Look], *, exact: bool) -> list[Line2D]:
    handles = [Line2D([], [], color=look.colour, label=look.label) for look in looks.values()]
    if exact:
        handles.append(Line2D([], [], color=INK, label="closed form", **_EXACT))
    return handles
