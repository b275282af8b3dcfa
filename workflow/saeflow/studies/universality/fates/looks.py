"""How similarities, sources and designs are called, coloured and laid out, in all these figures."""

from __future__ import annotations

import pandas as pd

from saeflow.figures.places import Place, by_hook, by_recipe_and_hook
from saeflow.figures.style import MUTED, SERIES, Look

LOOKS = {
    "correlation": Look(SERIES[0], "o", "correlation of activations"),
    "cosine": Look(SERIES[1], "s", "cosine of decoder directions"),
}
"""Of each similarity, in the order of legends."""

_COLOURS = {
    "feature": "#0072b2",
    "seed": "#d55e00",
    "order": "#009e73",
    "part": "#cc79a7",
    "interactions": "#5a5a5a",
    "rest": "#d9d9d9",
}
_NAMES = {"feature": "the feature itself", "interactions": "several of these together"}
_WITH = "feature with "


def source_look(source: str) -> dict[str, str]:
    """Return colour and label of a source of variance, hatched if it is of single features."""
    factor = source.removeprefix(_WITH)
    look = {"color": _COLOURS.get(factor, MUTED), "label": _NAMES.get(source, source)}
    if factor == source:
        return look
    label = f"{factor}, of single features"
    return {"facecolor": "white", "edgecolor": look["color"], "hatch": "/////", "label": label}


def places_of(table: pd.DataFrame) -> list[Place]:
    """Return a panel per model and hook; of several designs or recipes there, a row for each."""
    several = table["comparison"].nunique() > 1 if "comparison" in table else False
    if several:
        return by_recipe_and_hook(table, table["comparison"])
    if table.groupby(["model", "hook"])["sae"].nunique().max() > 1:
        return by_recipe_and_hook(table)
    return by_hook(table)
