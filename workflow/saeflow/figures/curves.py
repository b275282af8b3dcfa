"""Curves: latents sorted by a value, training and fine-tuning against tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from saeflow.figures.panels import (
    NO_LABELS,
    by_place,
    few_ticks,
    hooks_of,
    label_outer,
    legend_above,
    pair_grid,
    panel_grid,
)
from saeflow.figures.style import INK, Look, method_looks, series_looks, use_style

_MAP = "viridis"
_BORDER = {"linestyle": (0, (1, 2)), "linewidth": 0.8}
_EXACT = {"linestyle": (0, (4, 2)), "linewidth": 0.8}


def sorted_latents(
    table: pd.DataFrame,
    *,
    value: str,
    rank: str,
    label: str,
    border: str | None = None,
    log: bool = False,
) -> Figure:
    """Draw values of latents against their rank: a panel per recipe, a curve per layer.

    Parameters
    ----------
    table
        Columns model, hook, sae, seed, ``value`` and ``rank``; what is not finite is left out.
    value, rank
        Columns: the value, and its place, 1 for the largest.
    label
        The y axis.
    border
        Column with a value at which a dotted line is drawn, where it is finite.
    log
        Whether the y axis is logarithmic; then values of zero are left out.
    """
    with use_style():
        titles, parts = by_place(table, table["sae"])
        colours = layer_colours(hooks_of(table))
        figure, panels = panel_grid(titles, panel_size=(1.75, 1.75))
        for key, ax in panels.items():
            for (hook, _), rows in parts[key].groupby(["hook", "seed"], sort=False):
                shown = np.isfinite(rows[value]) & ((rows[value] > 0) | (not log))
                rows = rows[shown].sort_values(rank)
                ax.plot(rows[rank], rows[value], color=colours[hook], linewidth=1.0)
                if border is not None and len(rows) and np.isfinite(rows[border].iloc[0]):
                    ax.axhline(rows[border].iloc[0], color=colours[hook], **_BORDER)
            if log:
                ax.set_yscale("log")
        label_outer(panels.values(), x="Latents, sorted", y=label)
        handles = [Line2D([], [], color=colour, label=hook) for hook, colour in colours.items()]
        if border is not None:
            handles.append(Line2D([], [], color=INK, label="border to nearly dead", **_BORDER))
        legend_above(figure, handles)
    return figure


def layer_colours(hooks: list[str]) -> dict[str, str]:
    """Return a colour per hook, from dark to light in the order of the model."""
    places = np.linspace(0.0, 0.85, len(hooks))
    return {hook: to_hex(colormaps[_MAP](place)) for hook, place in zip(hooks, places, strict=True)}


def training_curves(
    table: pd.DataFrame,
    *,
    values: Sequence[str],
    labels: Mapping[str, str] = NO_LABELS,
    names: Mapping[str, str] = NO_LABELS,
) -> Figure:
    """Draw two columns of training logs against tokens, one above the other in panels per hook.

    Parameters
    ----------
    table
        Columns model, hook, sae, seed, tokens and ``values``: a line per recipe and seed.
    values
        Two columns, that of the upper panels first; both axes are logarithmic.
    labels, names
        Axis labels: of metrics, and of what is none.
    """
    titles, parts = by_place(table, table["hook"])
    with use_style():
        looks = series_looks(table["sae"])
        figure, pairs = pair_grid(titles, sharey=False)
        for key, pair in pairs.items():
            for ax, value in zip(pair, values, strict=True):
                _logs(ax, parts[key], value, looks)
                if ax.get_subplotspec().is_first_col():
                    ax.set_ylabel({**labels, **names}[value])
            pair[-1].set_xlabel("Training tokens")
        handles = [
            Line2D([], [], color=colour, linestyle=style, label=name)
            for name, (colour, style) in looks.items()
        ]
        legend_above(figure, handles)
    return figure


def _logs(ax: Axes, chosen: pd.DataFrame, value: str, looks: dict[str, tuple[str, str]]) -> None:
    for (sae, _), log in chosen.groupby(["sae", "seed"], sort=False):
        colour, style = looks[sae]
        ax.plot(log["tokens"], log[value], color=colour, linestyle=style, linewidth=1.0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())


def tuning_curves(table: pd.DataFrame, *, frozen: Sequence[str]) -> Figure:
    """Draw the error while SAEs are fine-tuned, and dashed where the closed form ends.

    Parameters
    ----------
    table
        Columns model, hook, sae, seed, method, fit, solver, tokens and mse; "exact" is the solver
        of a closed form.
    frozen
        What is fitted (``fit``) where the encoder stays as it was.

    Notes
    -----
    A line per method. Those that leave the encoder alone have panels of their own: per recipe
    come those of each hook with the encoder frozen, then of each with it free, which reach much
    lower, at more active latents.
    """
    # With the model in the loop the same weights are fitted to another loss.
    loop = table["solver"] == "kl_mse"
    free = ~table["fit"].isin(frozen)
    sides = free.map({True: "free", False: "frozen"})
    table = table.assign(
        fit=table["fit"].where(~loop, table["solver"]),
        place=table["hook"] + ", " + table["sae"] + "\nencoder " + sides,
        free=free,
    ).sort_values(["model", "sae", "free"], kind="stable")
    with use_style():
        looks = method_looks(table["fit"])
        titles, parts = by_place(table, table["place"])
        figure, panels = panel_grid(titles, panel_size=(1.9, 1.6), sharey=False)
        for key, ax in panels.items():
            _errors(ax, parts[key], looks)
        label_outer(panels.values(), x="Tokens (thousands)", y="Mean squared error")
        handles = [Line2D([], [], color=look.colour, label=look.label) for look in looks.values()]
        if (table["solver"] == "exact").any():
            handles.append(Line2D([], [], color=INK, label="closed form", **_EXACT))
        legend_above(figure, handles)
    return figure


def _errors(ax: Axes, chosen: pd.DataFrame, looks: dict[str, Look]) -> None:
    for (fit, solver, _, _), rows in chosen.groupby(
        ["fit", "solver", "method", "seed"], sort=False
    ):
        colour = looks[fit].colour
        if solver == "exact":
            ax.axhline(rows["mse"].iloc[0], color=colour, **_EXACT)
        else:
            ax.plot(rows["tokens"] / 1000, rows["mse"], color=colour, linewidth=1.0)
    if chosen["free"].any():
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        few_ticks(ax)
