"""What figures of edits show: which tasks, in which panels, with which looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from saeflow.figures.places import Place, by_recipe_and_hook, spread
from saeflow.figures.style import INK, MUTED, SERIES, Look, series_looks
from saeflow.metrics.erasure import (
    FEATURES,
    LEACE,
    MEAN_DIFFERENCE,
    RANDOM_DIRECTION,
    RANDOM_FEATURES,
)
from saeflow.studies.classification.removal.tables import LABELLED
from saeflow.studies.saying import span

WAYS = {
    FEATURES: Look(SERIES[0], "o", "features"),
    RANDOM_FEATURES: Look(SERIES[0], "o", "random features", 1),
    LEACE: Look(SERIES[1], "h", "LEACE"),
    MEAN_DIFFERENCE: Look(SERIES[2], "D", "difference of means"),
    RANDOM_DIRECTION: Look(MUTED, "X", "random direction"),
}
"""By what is removed or steered, where SAEs have one look, in the order of legends."""

DENSE = {
    LEACE: Look(INK, "h", "LEACE"),
    MEAN_DIFFERENCE: Look(INK, "D", "difference of means"),
    RANDOM_DIRECTION: Look(MUTED, "X", "random direction"),
}
"""The same where each SAE has a colour of its own."""

CHANCE = 0.5
"""The AUC of a blind reader."""

ABOUT, RECIPE = "about", "recipe"
_MARKERS = "os^vP<>p"


def of_tasks(table: pd.DataFrame, most: int) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows of at most so many tasks with their names, and a note on the others.

    Names are in the column `ABOUT`: the task, after its labelled entry where there are several.
    """
    several = table[LABELLED].nunique() > 1
    about = table[LABELLED] + ": " + table["task"] if several else table["task"]
    table = table.assign(**{ABOUT: about})
    tasks = list(dict.fromkeys(table[ABOUT]))
    shown = spread(tasks, most)
    if len(shown) == len(tasks):
        return table, ()
    note = f"Shown are {len(shown)} of {len(tasks)} tasks, spread over all; the table has them."
    return table[table[ABOUT].isin(shown)], (note,)


def by_task_and_hook(table: pd.DataFrame) -> list[Place]:
    """Return a panel per model, task and hook, a row per task; `RECIPE` has the SAEs' names."""
    return by_recipe_and_hook(table.assign(**{RECIPE: table["sae"], "sae": table[ABOUT]}))


def recipe_looks(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return how each SAE recipe is drawn: colour, marker and line style."""
    found = series_looks(table["sae"])
    return {
        name: {"color": colour, "linestyle": style, "marker": _MARKERS[i % len(_MARKERS)]}
        for i, (name, (colour, style)) in enumerate(found.items())
    }


def on_texts(table: pd.DataFrame) -> str:
    """Return on how many texts the rows of a table rest, in a sentence."""
    n_texts, n_tokens = (span(table[name], ",.0f") for name in ("n_texts", "n_text_tokens"))
    read = f"{n_texts} texts with {n_tokens} tokens"
    if "n_test" not in table:
        return f"Measured on {read} per task."
    n_test = span(table["n_test"], ",.0f")
    return f"Readers are tried on {n_test} texts per task; losses are of {read}."


def handles(looks: Mapping[str, Mapping[str, Any]]) -> list[Line2D]:
    """Return the entries of a legend, of looks by their names."""
    return [
        Line2D([], [], label=name, **{"markersize": 3.5, **look}) for name, look in looks.items()
    ]
