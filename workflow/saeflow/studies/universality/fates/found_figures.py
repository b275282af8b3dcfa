"""Figures of which features other SAEs find: by what features are, and by what they carry."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from saeflow.figures.axes import arms
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, shown_hooks, spread
from saeflow.figures.style import MUTED, REFERENCE, Look, use_style
from saeflow.studies.universality.fates.features import ALL
from saeflow.studies.universality.fates.looks import LOOKS, places_of

_NAMES = {
    "frequency": "frequency",
    "strength": "strength",
    "carried": "what it carries",
    "effect": "effect, either way",
}
_ROWS = 12  # of panels, in one figure
_LARGE = 6.0  # points
_AGAIN = "of one recipe"
_MOST = "features that carry most"


def found_by(table: pd.DataFrame) -> Drawing:
    """Draw a row of panels per SAE, one per property: the share of SAEs that find features."""
    table, odd = finite(table, ["share"])
    names = [name for name in _NAMES if name in set(table["property"])]
    table, fewer = shown_hooks(table, len(names) * table.groupby(["model", "sae"]).ngroups)
    with use_style():
        every = places_of(table)
        shown = spread(every, _ROWS)
        if len(shown) < len(every):
            fewer = (*fewer, f"Shown are {len(shown)} of {len(every)} SAEs; the table has all.")
        places = [
            Place((place.title,), name, f"{place.title}: by {_NAMES[name]}".lstrip(": "), rows)
            for place in shown
            for name in names
            if len(rows := place.rows[place.rows["property"] == name])
        ]
        grid = panel_grid(places, size=(1.9, 1.5))
        for (ax,), place in zip(grid.panels, places, strict=True):
            for (quantity, among), own in place.rows.groupby(["quantity", "among"], sort=False):
                own = own.sort_values("tenth")
                style = _style(LOOKS[quantity], among)
                ax.errorbar(own["tenth"], own["share"], yerr=arms(own, "share"), **style)
            ax.set_ylim(-0.03, 1.03)
            ax.set_xlim(0.5, place.rows["n_tenths"].max() + 0.5)
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        grid.label(x="Part of the features, least first", y="SAEs that find one")
        legend_above(grid.figure, _handles(table))
    drawn = pd.concat([place.rows for place in shown])
    return Drawing(grid.figure, drawn, (*fewer, *odd))


def _style(look: Look, among: str) -> dict:
    retrained = among != ALL
    variant = {"fillstyle": "none", "linestyle": "--"} if retrained else {"linestyle": "-"}
    return look.point(3.0) | {"linewidth": 0.8, "elinewidth": 0.6} | variant


def _handles(table: pd.DataFrame) -> list[Line2D]:
    found = []
    for among in table["among"].unique():
        for quantity, look in LOOKS.items():
            style = _style(look, among)
            style.pop("elinewidth")
            label = look.label if among == ALL else f"{quantity}, SAEs {_AGAIN}"
            found.append(Line2D([], [], label=label, **style))
    return found


def found_ranked(table: pd.DataFrame) -> Drawing:
    """Draw a panel per SAE: what features carry that at least so many SAEs find, by how many."""
    table, odd = finite(table, ["carried"])
    table, fewer = shown_hooks(table, 2 * table.groupby(["model", "sae"]).ngroups)
    with use_style():
        places = places_of(table)
        grid = panel_grid(places, size=(2.1, 2.0))
        for (ax,), place in zip(grid.panels, places, strict=True):
            ax.plot([0, 1], [0, 1], **REFERENCE)
            best = place.rows.sort_values("features").drop_duplicates("features")
            nothing = pd.DataFrame({"features": [0.0], "most": [0.0]})
            best = pd.concat([nothing, best[["features", "most"]]])
            ax.plot(best["features"], best["most"], color=MUTED, linewidth=0.8, linestyle=":")
            for (quantity, among), own in place.rows.groupby(["quantity", "among"], sort=False):
                _ranked(ax, own.sort_values("at_least"), _style(LOOKS[quantity], among))
            ax.set_xlim(-0.03, 1.03)
            top = max(1.0, table["carried_high"].max(), table["most"].max())
            ax.set_ylim(min(0.0, table["carried"].min()) - 0.03, top + 0.05)
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        grid.label(x="Share of features", y="Share of what is carried")
        handles = [
            *_handles(table),
            Line2D([], [], **LOOKS["correlation"].point(_LARGE), label="found by all"),
            Line2D([], [], color=MUTED, linewidth=0.8, linestyle=":", label=_MOST),
            Line2D([], [], label="no relation", **REFERENCE),
        ]
        legend_above(grid.figure, handles)
    return Drawing(grid.figure, table, (*fewer, *odd))


def _ranked(ax: Axes, rows: pd.DataFrame, style: dict) -> None:
    """Draw a point per number of SAEs, a larger one for all of them."""
    ax.errorbar(
        rows["features"], rows["carried"], xerr=arms(rows, "features"),
        yerr=arms(rows, "carried"), **style,
    )  # fmt: skip
    every = rows[rows["at_least"] == rows["n_saes"]]
    large = {name: value for name, value in style.items() if name != "elinewidth"}
    ax.plot(every["features"], every["carried"], **large | {"markersize": _LARGE})
