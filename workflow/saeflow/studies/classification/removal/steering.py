"""The figure of steering: its effect at the model's end, in its words, and its cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from saeflow.figures.axes import few_ticks, limit, span_of, strokes
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import shown_hooks
from saeflow.figures.style import GUIDE, use_style
from saeflow.metrics.erasure import FEATURES
from saeflow.studies.classification.removal.shown import (
    ABOUT,
    DENSE,
    RECIPE,
    by_task_and_hook,
    handles,
    of_tasks,
    on_texts,
    recipe_looks,
)

LEVELS = {
    "edit_end_score": "Log-odds read",
    "edit_logit_difference": "Logit difference",
    "edit_delta_ce": "Added loss",
}
"""What is drawn, from the top, with short labels: units are nats, per token of the loss."""
_MOST_TASKS = 3


def steering(table: pd.DataFrame) -> Drawing:
    """Draw a panel per task and hook: effects and cost against the strength of steering."""
    table, without = _worded(table)
    table, fewer = of_tasks(table, _MOST_TASKS)
    table, odd = finite(table, ["edit_end_score", "edit_delta_ce"])
    levels = [name for name in LEVELS if table[name].notna().any()]
    table, hooks = shown_hooks(table, 2 * len(levels) * table[ABOUT].nunique())
    with use_style():
        looks, places = recipe_looks(table[table["way"] == FEATURES]), by_task_and_hook(table)
        grid = panel_grid(places, size=(1.9, 1.25), stacked=len(levels))
        for depth, name in enumerate(levels):
            span = span_of(table[table[name].notna()], name, base=0.0)
            for panel, place in zip(grid.panels, places, strict=True):
                ax = panel[depth]
                ax.axhline(0.0, **GUIDE)
                ax.axvline(0.0, **GUIDE)
                _lines(ax, place.rows[place.rows[name].notna()], name, looks)
                limit(ax, span)
                few_ticks(ax)
        grid.label(x="Strength (class distances)", y=[LEVELS[name] for name in levels])
        dense = {look.label: look.point(3.5) for way, look in DENSE.items() if way != "leace"}
        named = {f"first feature of {name}": look for name, look in looks.items()}
        legend_above(grid.figure, handles({**dense, **named}))
    seeds = seeds_note(table.groupby(["model", "hook", "sae"])["seed"].nunique())
    return Drawing(grid.figure, table, (seeds, on_texts(table), *odd, *without, *fewer, *hooks))


def _worded(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows of tasks with words, if there are any, and a note on the others."""
    tasks = [table["labelled"], table["task"]]
    worded = table["edit_logit_difference"].notna().groupby(tasks).transform("any")
    if worded.all() or not worded.any():
        return table, ()
    n = table.loc[~worded, ["labelled", "task"]].drop_duplicates().shape[0]
    what = "1 task without words is" if n == 1 else f"{n} tasks without words are"
    return table[worded], (f"{what} in the table only.",)


def _lines(ax: Axes, rows: pd.DataFrame, name: str, looks: Mapping[str, Any]) -> None:
    """Draw a line per way through the points that are there, and through none at strength 0."""
    series = [
        (rows[rows["way"] == way].drop_duplicates("strength"), look.point(3) | {"linestyle": "-"})
        for way, look in DENSE.items()
    ]
    for recipe, own in rows[rows["way"] == FEATURES].groupby(RECIPE, sort=False):
        series.append((own, {"markersize": 3, **looks[recipe]}))
    for own, look in series:
        if len(own):
            at = own.groupby("strength")[name].mean()
            at[0.0] = 0.0
            ax.plot(at.sort_index(), linewidth=0.8, zorder=2.5, **look)
            strokes(ax, own, "strength", name, look["color"])
