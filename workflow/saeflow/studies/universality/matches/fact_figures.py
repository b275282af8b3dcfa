"""Figures of known facts: which SAEs find them, and how far their features match."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place
from saeflow.figures.style import INK, REFERENCE, SERIES, use_style
from saeflow.studies.universality.matches.facts import CORRELATION
from saeflow.world.facts import KINDS

_COLOURS = dict(zip(KINDS, SERIES, strict=False))
_MARKERS = dict(zip(KINDS, ("o", "s", "^"), strict=True))


def by_correlation(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows on correlations of activations."""
    return table[table["similarity"] == CORRELATION]


def facts_universal(table: pd.DataFrame) -> Drawing:
    """Draw a panel per comparison: features of facts against others that are as frequent."""
    table, odd = finite(table[table["n_matches"] > 0], ["value", "alike"])
    with use_style():
        places = _places(table)
        grid = panel_grid(places, size=(2.1, 2.1))
        low = min(0.0, table[["value", "alike"]].min().min())
        for (ax,), place in zip(grid.panels, places, strict=True):
            ax.plot([low, 1], [low, 1], **REFERENCE)
            for kind in KINDS:
                _points(ax, place.rows[place.rows["kind"] == kind], kind)
            ax.set_xlim(low - 0.03, 1.03)
            ax.set_ylim(low - 0.03, 1.03)
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_locator(MaxNLocator(4))
        grid.label(x="Correlation, others as frequent", y="Correlation, features of facts")
        mark = {"linestyle": "", "markersize": 3.5}
        handles = [
            Line2D(
                [], [], color=_COLOURS[kind], marker=_MARKERS[kind], label=f"{kind} facts", **mark
            )
            for kind in KINDS
            if kind in set(table["kind"])
        ]
        hollow = {"color": INK, "marker": "o", "markerfacecolor": "none", **mark}
        legend_above(
            grid.figure, [*handles, Line2D([], [], label="found by some SAEs only", **hollow)]
        )
    more = table.groupby("comparison", sort=False)["more"].mean()
    said = ", ".join(f"{more[name]:+.2f} ({name})".replace("-", "−", 1) for name in more.index)
    note = f"The mean difference is {said}; the table `facts_universal` has intervals."
    return Drawing(grid.figure, table, (note, *odd))


def _points(ax: Axes, rows: pd.DataFrame, kind: str) -> None:
    everywhere = rows["found"] == rows["n_saes"]
    for chosen, face in ((everywhere, _COLOURS[kind]), (~everywhere, "none")):
        own = rows[chosen]
        ax.scatter(
            own["alike"], own["value"], s=14, marker=_MARKERS[kind], facecolor=face,
            edgecolor=_COLOURS[kind], linewidth=0.8, alpha=0.85,
        )  # fmt: skip


def _places(table: pd.DataFrame) -> list[Place]:
    """Return a panel per comparison."""
    return [
        Place(("",), comparison, f"{comparison}, {rows['n_saes'].max():.0f} SAEs", rows)
        for comparison, rows in table.groupby("comparison", sort=False)
    ]


def facts_found(table: pd.DataFrame) -> Drawing:
    """Draw a panel per comparison: how many facts are found by how many SAEs, by kind."""
    with use_style():
        places = _places(table)
        widest = max(place.rows["n_saes"].max() for place in places)
        grid = panel_grid(places, size=(max(1.7, 0.18 * widest), 1.8), sharex=False, sharey=False)
        for (ax,), place in zip(grid.panels, places, strict=True):
            _histogram(ax, place.rows)
        grid.label(x="SAEs that find a fact", y="Facts")
        handles = [
            Line2D([], [], color=_COLOURS[kind], linewidth=5, label=f"{kind} facts")
            for kind in KINDS
            if kind in set(table["kind"])
        ]
        dash = {"color": INK, "marker": "_", "linestyle": "", "markersize": 9}
        legend_above(grid.figure, [*handles, Line2D([], [], label="by chance", **dash)])
    return Drawing(grid.figure, table)


def _histogram(ax: Axes, rows: pd.DataFrame) -> None:
    from scipy.stats import binom  # slow to import

    n_saes, base = int(rows["n_saes"].max()), 0.0
    numbers = np.arange(n_saes + 1)
    for kind in KINDS:
        own = np.bincount(rows.loc[rows["kind"] == kind, "found"], minlength=n_saes + 1)
        ax.bar(numbers, own, bottom=base, width=0.7, color=_COLOURS[kind])
        base = base + own
    share = rows["found"].sum() / rows["n_saes"].sum()
    expected = len(rows) * binom.pmf(numbers, n_saes, share)
    ax.hlines(expected, numbers - 0.45, numbers + 0.45, color=INK, linewidth=1.0)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
