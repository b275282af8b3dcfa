"""Figures of removal: what readers find against its cost, old readers, other concepts, layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from saeflow.figures.axes import few_ticks, limit, span_of, strokes
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.legends import legend_above, method_legend
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, shown_hooks
from saeflow.figures.style import GUIDE, INK, REFERENCE, use_style
from saeflow.metrics.erasure import FEATURES, RANDOM_FEATURES
from saeflow.studies.classification.removal.shown import (
    ABOUT,
    CHANCE,
    DENSE,
    RECIPE,
    WAYS,
    by_task_and_hook,
    handles,
    of_tasks,
    on_texts,
    recipe_looks,
)

_MOST_TASKS = 3
_COST = "edit_delta_ce"
_LINEAR = 0.01  # nats per token: so small costs are told apart by their difference, others by ratio
_CLEAN = {"color": INK, "linewidth": 0.9}
_SMALLEST, _GROWTH = 2.5, 0.55  # points, and per doubling of the number of features
_RANDOM = {"linestyle": (0, (1, 1.5)), "fillstyle": "none"}


def frontier(table: pd.DataFrame, *, labels: Mapping[str, str]) -> Drawing:
    """Draw a panel per task and hook: what a fresh reader finds against the cost of removal."""
    table, fewer = of_tasks(table[table["of"] == table["task"]], _MOST_TASKS)
    table, hooks = shown_hooks(table, 2 * table[ABOUT].nunique())
    table, odd = finite(table, ["auc", _COST])
    with use_style():
        looks, places = recipe_looks(table), by_task_and_hook(table)
        grid = panel_grid(places, size=(2.2, 1.8))
        span = span_of(table, "auc", base=CHANCE)
        span = span.over(span_of(table, "clean_auc"))
        for (ax,), place in zip(grid.panels, places, strict=True):
            ax.axhline(CHANCE, **REFERENCE)
            ax.axhline(place.rows["clean_auc"].mean(), **_CLEAN)
            _costs(ax, place, looks)
            _cost_axis(ax, table[_COST])
            limit(ax, span)
            few_ticks(ax)
        grid.label(x=labels[_COST], y="AUC of a fresh reader")
        dense = {look.label: look.point(4) for look in DENSE.values()}
        random = {"features as frequent, at random": {"color": INK, "marker": "o", **_RANDOM}}
        lines = {"no removal": _CLEAN, "chance": REFERENCE}
        legend_above(grid.figure, handles({**looks, **random, **dense, **lines}))
    seeds = seeds_note(table.groupby(["model", "hook", "sae"])["seed"].nunique())
    return Drawing(grid.figure, table, (seeds, on_texts(table), *odd, *fewer, *hooks))


def _costs(ax: Axes, place: Place, looks: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw ways along their costs, with larger marks for more features."""
    for way, style in ((RANDOM_FEATURES, _RANDOM), (FEATURES, {})):
        rows = place.rows[place.rows["way"] == way]
        for name, own in rows.groupby(RECIPE, sort=False):
            look = {**looks[name], **style}
            at = own.groupby("n_features")[[_COST, "auc"]].mean()
            line = {"color": look["color"], "linestyle": look["linestyle"], "linewidth": 0.8}
            ax.plot(at[_COST], at["auc"], zorder=2.5, **line)
            for n, (x, y) in at.iterrows():
                size = _SMALLEST + _GROWTH * (int(n).bit_length() - 1)
                ax.plot(x, y, zorder=3, markersize=size, **look)
            means = own.assign(x=own["n_features"].map(at[_COST]))
            strokes(ax, means, "x", "auc", look["color"])
    for way, look in DENSE.items():
        rows = place.rows[place.rows["way"] == way].drop_duplicates("hook")
        ax.plot(rows[_COST], rows["auc"], zorder=4, **look.point(5))
        strokes(ax, rows, _COST, "auc", look.colour)


def _cost_axis(ax: Axes, costs: pd.Series) -> None:
    """Show costs by their logarithms, and linearly about zero."""
    ax.set_xscale("symlog", linthresh=_LINEAR, linscale=0.5)
    ends = (-_LINEAR, 0.0, _LINEAR, 0.1, 1.0, 10.0)
    low, high = costs.min(), costs.max()
    ax.set_xlim(min(2 * low, -_LINEAR), max(2 * high, 2 * _LINEAR))
    bottom, top = ax.get_xlim()
    ticks = [tick for tick in ends if bottom <= tick <= top]
    ax.set_xticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.axvline(0.0, **GUIDE)


def old_readers(table: pd.DataFrame) -> Drawing:
    """Draw a panel per task: what a fresh reader finds against what the old one finds."""
    own = table[table["of"] == table["task"]]
    labels = {"old_auc": "AUC of the old reader", "auc": "AUC of a fresh reader"}
    return _scatter(own, labels, CHANCE, "both find as much")


def damage(table: pd.DataFrame) -> Drawing:
    """Draw a panel per task: what readers of other concepts lose against what its own loses."""
    keys = ["model", "hook", "site", "block", "sae", "seed", "method", "labelled", "task", "way",
            "n_features", "n_texts", "n_text_tokens"]  # fmt: skip
    lost = table.assign(other=table["of"] != table["task"])
    lost = lost.groupby([*keys, "other"], sort=False)["auc_lost"].mean().unstack("other")
    lost = lost.reindex(columns=[False, True]).set_axis(["own_lost", "others_lost"], axis=1)
    lost["n_test"] = table.groupby(keys, sort=False)["n_test"].min()
    labels = {
        "own_lost": "AUC lost of the concept itself", "others_lost": "AUC lost of other concepts",
    }  # fmt: skip
    return _scatter(lost.reset_index(), labels, 0.0, "others lose as much")


def _scatter(
    table: pd.DataFrame, labels: Mapping[str, str], guide: float, diagonal: str
) -> Drawing:
    """Draw a panel per task with a point per hook, SAE, way and number of features.

    Parameters
    ----------
    table
        A row per point.
    labels
        The two columns that are drawn, and what their axes are called.
    guide, diagonal
        Where thin lines stand on both axes, and what the dashed one says.
    """
    x, y = labels
    table, fewer = of_tasks(table, 2 * _MOST_TASKS)
    table, odd = finite(table, [x, y])
    with use_style():
        looks = {way: look for way, look in WAYS.items() if way in set(table["way"])}
        places = [
            Place((str(model),), str(about), str(about), rows)
            for (model, about), rows in table.groupby(["model", ABOUT], sort=False)
        ]
        grid = panel_grid(places, size=(2.5, 2.4))
        ends = [table[[x, y]].min().min(), table[[x, y]].max().max(), guide]
        low, high = min(ends), max(ends)
        margin = 0.05 * (high - low or 1.0)
        for (ax,), place in zip(grid.panels, places, strict=True):
            ax.axvline(guide, **GUIDE)
            ax.axhline(guide, **GUIDE)
            ax.plot([low, high], [low, high], zorder=1.5, **REFERENCE)
            for way, look in looks.items():
                own = place.rows[place.rows["way"] == way]
                if not (own["n_features"] > 0).any():
                    own = own.drop_duplicates(["hook"])
                ax.plot(own[x], own[y], alpha=0.8, zorder=3, **look.point(4.0))
            ax.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
            few_ticks(ax)
        grid.label(x=labels[x], y=labels[y])
        method_legend(grid.figure, looks, Line2D([], [], label=diagonal, **REFERENCE))
    return Drawing(grid.figure, table, (on_texts(table), *odd, *fewer))
