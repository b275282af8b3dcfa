"""Curves: latents sorted by a value, training and fine-tuning against tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from saeflow.figures.axes import count_ticks, few_ticks, log_ticks
from saeflow.figures.bars import NO_LABELS
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_hook, by_recipe, by_recipe_and_hook, shown_hooks
from saeflow.figures.style import INK, Look, method_looks, series_looks, use_style

_MAP = "viridis"
_BORDER = {"linestyle": (0, (1, 2)), "linewidth": 0.8}
_EXACT = {"linestyle": (0, (4, 2)), "linewidth": 0.8}
_MOST_NAMED = 9  # colours of blocks in a legend; those between are between
_LINE = 1.0  # points
_WIDER = 1.4  # points that a line which another would hide is wider than that one
_MOST_COVERED = 3
_SAME = 0.01  # of the height: lines everywhere as near as that hide one another


def sorted_latents(
    table: pd.DataFrame,
    *,
    value: str,
    rank: str,
    label: str,
    border: str | None = None,
    log: bool = False,
) -> Drawing:
    """Draw values of latents against their rank: a panel per recipe (and site), a curve per layer.

    Parameters
    ----------
    table, value, label
        As of `saeflow.figures.drawing`; what is not finite is left out.
    rank
        Column with the value's place, 1 for the largest.
    border
        Column with a value at which a dotted line is drawn, where it is finite.
    log
        Whether the y axis is logarithmic; then values of zero are left out.
    """
    table, odd = finite(table, [value, rank], positive=[value] if log else [])
    with use_style():
        places, colours = by_recipe(table), block_colours(sorted(table["block"].unique()))
        grid = panel_grid(places, size=(1.75, 1.75))
        for (ax,), place in zip(grid.panels, places, strict=True):
            for (block, _), rows in place.rows.groupby(["block", "seed"], sort=False):
                rows = rows.sort_values(rank)
                look = {"color": colours[block], "linewidth": _LINE, **_alone(rows)}
                ax.plot(rows[rank], rows[value], **look)
                if border is not None and np.isfinite(rows[border].iloc[0]):
                    ax.axhline(rows[border].iloc[0], color=colours[block], **_BORDER)
            count_ticks(ax)
            ax.set_yscale("log") if log else few_ticks(ax)
        for ax in grid.axes if log else ():
            log_ticks(ax.yaxis)
        grid.label(x="Latents, sorted", y=label)
        named = list(colours)[:: -(-len(colours) // _MOST_NAMED)]
        handles = [Line2D([], [], color=colours[block], label=f"block {block}") for block in named]
        if border is not None:
            handles.append(Line2D([], [], color=INK, label="border to nearly dead", **_BORDER))
        legend_above(grid.figure, handles)
    return Drawing(grid.figure, table, odd)


def block_colours(blocks: Sequence[int]) -> dict[int, str]:
    """Return a colour per block, from dark to light in the order of the model."""
    places = np.linspace(0.0, 0.85, len(blocks))
    return {b: to_hex(colormaps[_MAP](place)) for b, place in zip(blocks, places, strict=True)}


def training_curves(
    table: pd.DataFrame,
    *,
    values: Sequence[str],
    labels: Mapping[str, str] = NO_LABELS,
    names: Mapping[str, str] = NO_LABELS,
) -> Drawing:
    """Draw two columns of training logs against tokens, one above the other in panels per hook.

    Of lines that lie upon one another the lower ones are wider, so that all are seen.

    Parameters
    ----------
    table
        A line per recipe and seed of its column tokens.
    values
        Two columns, that of the upper panels first; both axes are logarithmic.
    labels, names
        Axis labels: of metrics, and of what is none.
    """
    table, fewer = shown_hooks(table[(table[list(values)] > 0).any(axis=1) & (table["tokens"] > 0)])
    with use_style():
        looks, places = series_looks(table["sae"]), by_hook(table)
        grid = panel_grid(places, size=(1.75, 1.5), stacked=2, sharey=False)
        hidden = False
        for panel, place in zip(grid.panels, places, strict=True):
            for ax, value in zip(panel, values, strict=True):
                hidden |= _logs(ax, place.rows, value, looks)
        for ax in grid.axes:
            for axis in (ax.xaxis, ax.yaxis):
                log_ticks(axis)
        grid.label(x="Training tokens", y=[{**labels, **names}[value] for value in values])
        handles = [
            Line2D([], [], color=colour, linestyle=style, label=name)
            for name, (colour, style) in looks.items()
        ]
        legend_above(grid.figure, handles)
    note = ("Where lines coincide, the one behind is drawn wider.",) if hidden else ()
    return Drawing(grid.figure, table, (*note, *fewer))


def _logs(ax: Axes, chosen: pd.DataFrame, value: str, looks: Mapping[str, tuple[str, str]]) -> bool:
    """Draw a line per recipe and seed, and return whether some coincide."""
    shown = chosen[np.isfinite(chosen[value]) & (chosen[value] > 0)]
    logs = [(str(sae), log) for (sae, _), log in shown.groupby(["sae", "seed"], sort=False)]
    covering = covered([(sae, log["tokens"], np.log(log[value])) for sae, log in logs])
    for (sae, log), n in zip(logs, covering, strict=True):
        colour, style = looks[sae]
        ax.plot(
            log["tokens"], log[value], color=colour, linestyle=style,
            linewidth=_LINE + _WIDER * min(n, _MOST_COVERED), zorder=2.5 - 0.01 * n, **_alone(log),
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    return any(covering)


def covered(curves: Sequence[tuple[str, pd.Series, pd.Series]]) -> list[int]:
    """Return of each curve (name, x, y) how many other names lie upon it from end to end later."""
    if not curves:
        return []
    arrays = [(name, x.to_numpy(float), y.to_numpy(float)) for name, x, y in curves]
    ends = np.concatenate([y for _, _, y in arrays])
    near = _SAME * (ends.max() - ends.min() or 1.0)
    counts = []
    for i, (name, x, y) in enumerate(arrays):
        later = [other for other in arrays[i + 1 :] if other[0] != name]
        counts.append(len({o[0] for o in later if np.abs(np.interp(x, *o[1:]) - y).max() <= near}))
    return counts


def _alone(rows: pd.DataFrame) -> dict[str, Any]:
    """Return what makes a line of a single point visible."""
    return {"marker": "o", "markersize": 2} if len(rows) == 1 else {}


def tuning_curves(table: pd.DataFrame, *, frozen: Sequence[str]) -> Drawing:
    """Draw the error while SAEs are fine-tuned, and dashed where the closed form ends.

    Parameters
    ----------
    table
        Columns model, hook, site, block, sae, seed, method, fit, solver, tokens and mse; "exact"
        is the solver of a closed form.
    frozen
        What is fitted (``fit``) where the encoder stays as it was.

    Notes
    -----
    A line per method. Those that leave the encoder alone have panels of their own: per recipe
    come those of each hook with the encoder frozen, then of each with it free, which reach much
    lower, at more active latents.
    """
    table, odd = finite(table, ["tokens", "mse"], positive=["mse"])
    # With the model in the loop the same weights are fitted to another loss.
    loop = table["solver"] == "kl_mse"
    free = ~table["fit"].isin(frozen)
    table = table.assign(
        fit=table["fit"].where(~loop, table["solver"]),
        free=free,
        side="encoder " + free.map({True: "free", False: "frozen"}),
    )
    table, fewer = shown_hooks(table, table.groupby(["model", "sae", "free"]).ngroups)
    table = table.sort_values(["model", "sae", "free"], kind="stable")
    with use_style():
        looks, places = method_looks(table["fit"]), by_recipe_and_hook(table, table["side"])
        grid = panel_grid(places, size=(1.75, 1.6), sharey=False)
        for (ax,), place in zip(grid.panels, places, strict=True):
            _errors(ax, place.rows, looks)
        for ax, place in zip(grid.axes, places, strict=True):
            count_ticks(ax)
            if place.rows["free"].any():
                ax.set_yscale("log")
                log_ticks(ax.yaxis)
            else:
                few_ticks(ax)
        grid.label(x="Tokens", y="Mean squared error")
        handles = [Line2D([], [], color=look.colour, label=look.label) for look in looks.values()]
        if (table["solver"] == "exact").any():
            handles.append(Line2D([], [], color=INK, label="closed form", **_EXACT))
        legend_above(grid.figure, handles)
    return Drawing(grid.figure, table, (*odd, *fewer))


def _errors(ax: Axes, chosen: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    for (fit, solver, _, _), rows in chosen.groupby(
        ["fit", "solver", "method", "seed"], sort=False
    ):
        colour = looks[fit].colour
        if solver == "exact":
            ax.axhline(rows["mse"].iloc[0], color=colour, **_EXACT)
        else:
            ax.plot(rows["tokens"], rows["mse"], color=colour, linewidth=_LINE, **_alone(rows))
