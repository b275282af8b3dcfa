"""Figures of factorial designs: similarity by what differs, and whose the variance of fates is."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from saeflow.figures.axes import arms, few_ticks, name_axis
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import shown_hooks
from saeflow.figures.style import GUIDE, MUTED, use_style
from saeflow.studies.universality.fates.designs import IS_FOUND, SIMILARITY
from saeflow.studies.universality.fates.looks import LOOKS, places_of, source_look

_SLOT, _WIDEST = 0.3, 3.0  # inches, of a set of factors, and of a panel
_APART = 0.13  # of a set of factors: so far are two similarities from its middle
_LABELS = ("Similarity of the best match", "Share of features found", "Loss beyond that of parts")
_BARS = {
    (quantity, outcome): quantity + (" > 0.7" if outcome == IS_FOUND else "")
    for quantity in LOOKS
    for outcome in (SIMILARITY, IS_FOUND)
}
_CHANCE = "by chance"


def factorial(table: pd.DataFrame) -> Drawing:
    """Draw a panel per design: similarity, share found and dividends of each set of factors."""
    table, odd = finite(table, ["value"])
    table, fewer = shown_hooks(table, 3)
    with use_style():
        places = places_of(table)
        names = list(dict.fromkeys(table.sort_values("n_factors", kind="stable")["differ"]))
        width = min(_WIDEST, max(1.6, _SLOT * len(names)))
        grid = panel_grid(places, size=(width, 1.45), stacked=len(_LABELS))
        taller = 0.0
        for panel, place, inside in zip(grid.panels, places, grid.widths, strict=True):
            at = {name: x for x, name in enumerate(names)}
            for ax in panel:
                taller = max(taller, name_axis(ax, names, inside))
            for ax, outcome in zip(panel, (SIMILARITY, IS_FOUND), strict=False):
                _points(ax, place.rows[place.rows["outcome"] == outcome], at)
                ax.set_ylim(-0.03, 1.03)
            _own(panel[2], place.rows, at)
            few_ticks(panel[2])
        grid.add_below(taller)
        grid.label(x="What differs", y=_LABELS)
        legend_above(grid.figure, _handles())
    return Drawing(grid.figure, table, (*fewer, *odd))


def _points(ax: Axes, rows: pd.DataFrame, at: dict[str, int]) -> None:
    for side, (quantity, look) in zip((-1, 1), LOOKS.items(), strict=True):
        own = rows[rows["quantity"] == quantity]
        x = own["differ"].map(at) + side * _APART
        whole = own["reference"].fillna("") == ""
        small = look.point(2.0) | {"alpha": 0.35}
        ax.plot(x[~whole] + 0.6 * side * _APART, own.loc[~whole, "value"], zorder=2, **small)
        mean = own[whole]
        ax.errorbar(
            x[whole], mean["value"], yerr=arms(mean, "value"), elinewidth=0.8, zorder=3,
            **look.point(4.0),
        )  # fmt: skip
        ax.hlines(
            mean["null"], x[whole] - _APART, x[whole] + _APART, color=look.colour, linewidth=1.0,
            linestyle=":", zorder=2,
        )  # fmt: skip


def _own(ax: Axes, rows: pd.DataFrame, at: dict[str, int]) -> None:
    rows = rows[(rows["outcome"] == SIMILARITY) & (rows["reference"].fillna("") == "")]
    ax.axhline(0, **GUIDE)
    for side, (quantity, look) in zip((-1, 1), LOOKS.items(), strict=True):
        own = rows[(rows["quantity"] == quantity) & rows["own"].notna()]
        x = own["differ"].map(at) + side * _APART
        ax.bar(x, own["own"], width=2 * _APART, zorder=2, **look.bar())
        ax.errorbar(
            x,
            own["own"],
            yerr=arms(own, "own"),
            linestyle="",
            color=MUTED,
            elinewidth=0.8,
            zorder=3,
        )


def _handles() -> list[Line2D]:
    single = {"color": MUTED, "marker": "o", "linestyle": "", "alpha": 0.35, "markersize": 2.0}
    return [
        *(Line2D([], [], label=look.label, **look.point(4.0)) for look in LOOKS.values()),
        Line2D([], [], label="one SAE's features", **single),
        Line2D([], [], color=MUTED, linewidth=1.0, linestyle=":", label=_CHANCE),
    ]


def fate_shares(table: pd.DataFrame) -> Drawing:
    """Draw a panel per design: bars of the shares of the variance that each source has."""
    table, odd = finite(table, ["share"])
    table, fewer = shown_hooks(table)
    with use_style():
        places = places_of(table)
        grid = panel_grid(places, size=(1.9, 2.0))
        sources = list(dict.fromkeys(table["source"]))
        taller = 0.0
        for (ax,), place, inside in zip(grid.panels, places, grid.widths, strict=True):
            given = place.rows.set_index(["quantity", "outcome", "source"]).sort_index()
            bars = {
                name: given.loc[about]
                for about, name in _BARS.items()
                if about in given.index.droplevel("source")
            }
            chance = next(iter(bars.values()))["chance"]
            shares = {name: own["share"] for name, own in bars.items()} | {_CHANCE: chance}
            taller = max(taller, name_axis(ax, list(shares), inside))
            _stack(ax, pd.DataFrame(shares).reindex(sources).fillna(0.0))
            ax.axvline(len(bars) - 0.5, **GUIDE)
            ax.set_ylim(0, 1)
            ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        grid.add_below(taller)
        grid.label(x="", y="Share of the variance of fates")
        legend_above(grid.figure, [Patch(**source_look(source)) for source in sources])
    return Drawing(grid.figure, table, (*fewer, *odd))


def _stack(ax: Axes, shares: pd.DataFrame) -> None:
    """Draw a bar per column, of pieces that add up to 1, the first one at the bottom."""
    bottom, x = np.zeros(shares.shape[1]), np.arange(shares.shape[1])
    for source, heights in shares.iterrows():
        look = {key: value for key, value in source_look(str(source)).items() if key != "label"}
        ax.bar(x, heights, 0.7, bottom=bottom, linewidth=0.4, **look)
        bottom += heights.to_numpy(float)
    ax.grid(axis="x", visible=False)
