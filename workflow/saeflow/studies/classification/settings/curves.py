"""AUC along what training sets have: how many examples, how many positive or flipped ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from saeflow.figures.axes import few_ticks, log_ticks, strokes
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.legends import legend_above, line_handles
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place
from saeflow.figures.style import INK, Look, use_style
from saeflow.studies.classification.settings.forest import over
from saeflow.studies.classification.settings.shown import (
    by_texts_and_hook,
    few_hooks,
    one_pooling,
    together,
)
from saeflow.studies.classification.settings.tables import BEST, BEST_SPARSE

LOOKS = {
    BEST: Look(INK, "o", "best baseline"),
    BEST_SPARSE: Look("#d55e00", "D", "best SAE probe"),
    "k = 128": Look("#0072b2", "s", "k = 128 latents"),
    "k = 16": Look("#56b4e9", "^", "k = 16 latents"),
}
"""How series are drawn, in the order of legends."""
_ALONG = {
    "scarcity": "Training examples",
    "imbalance": "Share of positive examples",
    "noise": "Share of flipped labels",
}
_MOST_HOOKS = 4
_APART = 0.012  # of the axis, between the points of two series at most


def auc_curves(table: pd.DataFrame) -> Drawing:
    """Draw AUC along what training sets have: a row of panels per hook, a column per setting."""
    table, pooled = one_pooling(together(table))
    table, odd = finite(table, ["auc"])
    table, fewer = few_hooks(table, _MOST_HOOKS)
    with use_style():
        places = [
            Place((*place.row, place.column), setting, f"{place.title}, {setting}", rows)
            for place in by_texts_and_hook(table)
            for setting in _ALONG
            if len(rows := place.rows[place.rows["setting"] == setting])
        ]
        grid = panel_grid(places, size=(2.4, 1.9), sharex=False)
        for (ax,), place in zip(grid.panels, places, strict=True):
            _curves(ax, place.rows)
        few_ticks(grid.axes[0])
        grid.label(x="", y="AUC")
        for (ax,), place in zip(grid.panels, places, strict=True):
            ax.set_xlabel(_ALONG[place.column])
            if place.column == "scarcity":
                ax.set_xscale("log")
                log_ticks(ax.xaxis)
        looks = {name: look for name, look in LOOKS.items() if name in set(table["series"])}
        legend_above(grid.figure, line_handles(looks))
    left = table["n_tasks"] < table["n_tasks_of_all"]
    some = ("Shown are the tasks that have all sizes of a panel, so that all points of a line are"
            f" of the same tasks: {int(table.loc[left, 'n_tasks'].min())} or more of"
            f" {int(table.loc[left, 'n_tasks_of_all'].max())}.",) if left.any() else ()  # fmt: skip
    seeds = seeds_note([table["seed"].nunique()]).replace("seeds;", "seeds of SAEs;")
    return Drawing(grid.figure, table, (seeds, over(table), *some, *pooled, *odd, *fewer))


def _curves(ax: Axes, rows: pd.DataFrame) -> None:
    levels = np.sort(rows["level"].unique())
    log = rows["setting"].iloc[0] == "scarcity"
    places = np.log(levels) if log else levels
    step = min(0.12 * np.diff(places).min(), _APART * (places[-1] - places[0]))
    names = [name for name in LOOKS if name in set(rows["series"])]
    for index, name in enumerate(names):
        own = rows[rows["series"] == name]
        shift = (index - (len(names) - 1) / 2) * step
        own = own.assign(x=own["level"] * np.exp(shift) if log else own["level"] + shift)
        line = LOOKS[name].point(3.5) | LOOKS[name].line()
        ax.plot(own.groupby("x")["auc"].mean(), linewidth=0.9, **line)
        strokes(ax, own, "x", "auc", LOOKS[name].colour)
