"""Figures of two widths: how many children features have, and where descendants are active."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from saeflow.figures.axes import arms, name_axis, short
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import shown_hooks
from saeflow.figures.style import INK, MUTED, SERIES, use_style
from saeflow.studies.universality.fates.looks import places_of
from saeflow.studies.universality.fates.widths import ABSORBED, KEPT, MOST, SILENT

_OUTCOMES = {
    KEPT: (SERIES[0], "the most similar feature is active"),
    ABSORBED: (SERIES[1], "only children are"),
    SILENT: ("#d9d9d9", "none of these"),
}
_NULL: dict[str, Any] = {"color": INK, "linewidth": 1.0, "linestyle": ":"}


def children_by_width(table: pd.DataFrame) -> Drawing:
    """Draw a panel per chain: how many children features have, and how many have no parent."""

    def above(ax: Axes, x: int, rows: pd.DataFrame) -> None:
        shares = rows.groupby("n_children")["share"].mean()
        _stack(ax, x, [(share, _colour(int(n))) for n, share in shares.items()])

    handles = [Patch(color=_colour(n), label=_number(n)) for n in range(MOST + 1)]
    null = Line2D([], [], label="Gaussian directions", **_NULL)
    labels = ("Features by children", "Features without a parent")
    return _by_width(table, above, "new", labels, [*handles, null])


def absorption(table: pd.DataFrame) -> Drawing:
    """Draw a panel per chain: what becomes of features' tokens, and whether parents are active."""

    def above(ax: Axes, x: int, rows: pd.DataFrame) -> None:
        means = rows.groupby("outcome")[["share", "null"]].mean().reindex(_OUTCOMES)
        colours = [colour for colour, _ in _OUTCOMES.values()]
        _stack(ax, x, list(zip(means["share"], colours, strict=True)))
        for top in means["null"].cumsum()[:-1]:
            ax.hlines(top, x - 0.42, x + 0.42, **_NULL)

    handles = [Patch(color=colour, label=label) for colour, label in _OUTCOMES.values()]
    null = Line2D([], [], label="by chance", **_NULL)
    labels = ("Tokens of a feature", "Child's tokens with its parent")
    return _by_width(table, above, "contained", labels, [*handles, null])


def _by_width(
    table: pd.DataFrame,
    above: Callable[[Axes, int, pd.DataFrame], None],
    below: str,
    labels: Sequence[str],
    handles: Sequence[Any],
) -> Drawing:
    """Draw per chain what ``above`` draws of two widths, and bars of the column ``below``."""
    table, odd = finite(table, ["share"])
    table = table.assign(sae=table["family"])
    table, fewer = shown_hooks(table, 2 * table.groupby(["model", "family"]).ngroups)
    with use_style():
        places = places_of(table)
        names = [name for name, _ in _steps(table)]
        grid = panel_grid(places, size=(max(1.6, 0.45 * len(names) + 0.5), 1.6), stacked=2)
        taller = 0.0
        for panel, place, inside in zip(grid.panels, places, grid.widths, strict=True):
            for ax in panel:
                taller = max(taller, name_axis(ax, names, inside))
                ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
                ax.set_ylim(0, 1)
                ax.grid(axis="x", visible=False)
            for name, rows in _steps(place.rows):
                above(panel[0], names.index(name), rows)
                _single(panel[1], names.index(name), rows, below)
        grid.add_below(taller)
        grid.label(x="Expansions", y=labels)
        legend_above(grid.figure, handles)
    n_seeds = table.groupby(["model", "hook", "family"])["seed"].nunique().max()
    seeds = (f"Bars are means over {n_seeds} seeds.",) if n_seeds > 1 else ()
    return Drawing(grid.figure, table, (*seeds, *fewer, *odd))


def _steps(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name of two expansions and their rows, the narrowest first."""
    for (wide, narrow), rows in table.groupby(["wide_expansion", "narrow_expansion"]):
        yield f"{short(narrow)}→{short(wide)}", rows


def _colour(n_children: int) -> tuple[float, ...]:
    return mpl.colormaps["viridis_r"](n_children / MOST)


def _number(n: int) -> str:
    if n == MOST:
        return f"{n} or more"
    return f"{n} child" if n == 1 else f"{n} children"


def _stack(ax: Axes, x: int, parts: Sequence[tuple[float, Any]]) -> None:
    """Draw a bar of parts, each with its colour, the first at the bottom."""
    bottom = 0.0
    for height, colour in parts:
        ax.bar(x, height, 0.7, bottom=bottom, color=colour)
        bottom += height


def _single(ax: Axes, x: int, rows: pd.DataFrame, value: str) -> None:
    """Draw a bar of the mean over seeds, the interval of each and what chance gives."""
    own = rows.drop_duplicates(["narrow", "wide", "seed"]).dropna(subset=value)
    if own.empty:
        return
    ax.bar(x, own[value].mean(), 0.7, color=SERIES[5])
    ax.errorbar(
        [x] * len(own), own[value], yerr=arms(own, value), linestyle="", color=MUTED, elinewidth=0.8
    )
    ax.hlines(own[f"{value}_null"].mean(), x - 0.42, x + 0.42, **_NULL)
