"""The figure of removal by layer: what is left of a concept, and what that costs."""

from __future__ import annotations

import pandas as pd

from saeflow.figures.drawing import Drawing, seeds_note
from saeflow.figures.lines import Level, lines_by_layer, of_level
from saeflow.figures.style import INK, Look
from saeflow.metrics.erasure import FEATURES, RANDOM_FEATURES
from saeflow.studies.classification.removal.shown import ABOUT, CHANCE, WAYS, of_tasks, on_texts

_CLEAN = "clean"
_MOST_PANELS = 6
_LEVELS = {
    "auc": Level("AUC, fresh reader", line=(CHANCE, "chance")),
    "edit_delta_ce": Level("Added loss (nats/token)"),
}


def by_layer(table: pd.DataFrame) -> Drawing:
    """Draw a panel per recipe and task: by layer, what a fresh reader finds and what that costs.

    Of numbers of features the largest is drawn.
    """
    own = table[table["of"] == table["task"]]
    n_recipes = own[["model", "sae"]].drop_duplicates().shape[0]
    own, fewer = of_tasks(own, max(1, _MOST_PANELS // max(1, n_recipes)))
    own = own.sort_values(ABOUT, kind="stable")
    most = int(own["n_features"].max()) if len(own) else 0
    own = own[own["n_features"].isin((0, most))]
    several = own[ABOUT].nunique() > 1
    panel = own["sae"] + ", " + own[ABOUT] if several else own["sae"]
    parts = [
        of_level(own, own["way"], "auc"),
        of_level(own, own["way"], "edit_delta_ce"),
        of_level(own.drop_duplicates(["hook", "sae", "seed", ABOUT]), _CLEAN, "clean_auc", "auc"),
    ]
    rows = pd.concat(parts)
    looks = {_CLEAN: Look(INK, "d", "no removal"), **WAYS}
    for way, words in ((FEATURES, "features"), (RANDOM_FEATURES, "random features")):
        looks[way] = looks[way]._replace(label=f"{most} {words}")
    drawing = lines_by_layer(rows.assign(sae=panel.loc[rows.index]), looks, _LEVELS, height=1.7)
    seeds = seeds_note(own.groupby(["model", "hook", "sae"])["seed"].nunique())
    return drawing._replace(rows=own, notes=(seeds, on_texts(own), *drawing.notes, *fewer))
