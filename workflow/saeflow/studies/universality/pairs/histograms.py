"""Histograms of the best similarity of each feature, beside those of what chance gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from saeflow.figures.drawing import Drawing
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, spread
from saeflow.figures.style import SERIES, use_style
from saeflow.metrics.similarity import CORRELATION, DECODER, ENCODER
from saeflow.studies.universality.pairs.distributions import EDGES, MATCHES
from saeflow.studies.universality.pairs.looks import (
    FEWER,
    MORE,
    NULL,
    QUANTITY,
    SENSE,
    of_comparisons,
)
from saeflow.studies.universality.reading import COLUMNS

_MOST_ROWS = 8
_SIZE = (2.6, 1.0)
_LINE = 0.9  # points
_PAIR = list(COLUMNS)
_COLUMNS = {
    "decoder": DECODER, "encoder": (ENCODER,), "activations": (CORRELATION,),
}  # fmt: skip
"""Columns of panels, and of similarities the one that there is first."""


def histograms(table: pd.DataFrame) -> Drawing:
    """Draw a row of panels per comparison and what its SAEs differ in, a panel per similarity."""
    table = of_comparisons(table)
    names = list(dict.fromkeys(table["row"]))
    shown = spread(names, _MOST_ROWS)
    rows = pd.concat([_middle(table[table["row"] == name]) for name in shown])
    cells = rows.groupby(["row", "quantity"], sort=False)
    places = [
        Place((name,), column, f"{name}\n{QUANTITY[quantity]}", cells.get_group((name, quantity)))
        for name in shown
        for column, quantities in _COLUMNS.items()
        for quantity in [q for q in quantities if (name, q) in cells.groups][:1]
    ]
    with use_style():
        grid = panel_grid(places, size=_SIZE, sharey=False)
        for (ax,), place in zip(grid.panels, places, strict=True):
            _panel(ax, place.rows)
        grid.label(x="Similarity of the best match", y="Share")
        nulls = [look for name, look in NULL.items() if name in set(rows["what"])]
        legend_above(
            grid.figure,
            [
                Patch(color=SERIES[0], alpha=0.35, label=SENSE[FEWER][0]),
                Line2D([], [], color=SERIES[0], label=SENSE[MORE][0]),
                *(Line2D([], [], color=n.colour, linestyle=":", label=n.label) for n in nulls),
            ],
        )
    n_pairs = table[_PAIR].drop_duplicates().shape[0]
    note = (
        f"Shown is one pair of each comparison, of {n_pairs} in all: the one whose mean similarity"
        " is the middle one.",
    )
    if len(shown) < len(names):
        note += (f"Shown are {len(shown)} of {len(names)} comparisons; the table has all.",)
    drawn = pd.concat([place.rows for place in places]).drop(columns=["row", "sense"])
    return Drawing(grid.figure, drawn, note)


def _middle(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the pair whose mean similarity is the middle one of a comparison."""
    at = rows.groupby(_PAIR, sort=False, dropna=False).ngroup()
    means = rows["mean"].where(rows["what"] == MATCHES).groupby(at).mean()
    ranked = means.sort_values(kind="stable").index
    return rows[at == ranked[(len(ranked) - 1) // 2]]


def _panel(ax: Axes, rows: pd.DataFrame) -> None:
    both = {sense: rows[rows["sense"] == sense] for sense in (FEWER, MORE)}
    own = both[FEWER] if len(both[FEWER]) else both[MORE]
    ax.stairs(_shares(own, MATCHES), EDGES, fill=True, color=SERIES[0], alpha=0.35)
    if len(both[MORE]):
        ax.stairs(_shares(both[MORE], MATCHES), EDGES, color=SERIES[0], linewidth=_LINE)
    top = max(patch.get_data().values.max() for patch in ax.patches)
    for name, look in NULL.items():
        if name in set(own["what"]):
            ax.stairs(_shares(own, name), EDGES, color=look.colour, linestyle=":", linewidth=_LINE)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.1 * top)
    ax.yaxis.set_major_locator(MaxNLocator(2))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _shares(rows: pd.DataFrame, what: str) -> np.ndarray:
    """Return the share of features in each bin, (n_bins,)."""
    own = rows[rows["what"] == what]
    at = np.searchsorted(EDGES, own["low"].to_numpy() + 1e-6) - 1
    return np.bincount(at, own["n_features"], len(EDGES) - 1) / own["n_features"].sum()
