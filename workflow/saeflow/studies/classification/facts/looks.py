"""How SAEs, what they are held against and kinds of facts are called and drawn, in all figures."""

from __future__ import annotations

import pandas as pd

from saeflow.figures.places import learned
from saeflow.figures.style import SERIES, Look
from saeflow.tables.runs import ORIGINAL

PROBE = "linear probe"

_BASELINES = {
    "identity": Look("#5a5a5a", "s", "single neurons"),
    "pca": Look("#8c510a", "D", "principal components"),
    "random": Look("#b8b8b8", "X", "random directions"),
}
_SAES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b3294", "#b3a100")
_MARKERS = ("o", "^", "v", "P", "<", ">", "p", "*")


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with ``series``: the recipe and method of an SAE, or what a baseline is."""
    tuned = table["sae"].where(table["method"] == ORIGINAL, table["sae"] + "~" + table["method"])
    what = table["baseline"].fillna("").map(lambda name: getattr(_BASELINES.get(name), "label", ""))
    several = table.groupby("baseline")["sae"].transform("nunique") > 1
    what = what.where(~several | (what == ""), what + ", " + tuned)
    return table.assign(series=tuned.where(what == "", what))


def looks_of(table: pd.DataFrame) -> dict[str, Look]:
    """Return how each of the ``series`` is drawn: SAEs first, then baselines."""
    saes = list(dict.fromkeys(learned(table)["series"]))
    found = {
        name: Look(_SAES[i % len(_SAES)], _MARKERS[i % len(_MARKERS)], name, i // len(_SAES))
        for i, name in enumerate(saes)
    }
    others = table[~table["series"].isin(saes)]
    for baseline, look in _BASELINES.items():
        names = dict.fromkeys(others.loc[others["baseline"] == baseline, "series"])
        found |= {name: look._replace(label=name, variant=i) for i, name in enumerate(names)}
    rest = dict.fromkeys(name for name in others["series"] if name not in found)
    return found | {name: Look(SERIES[6], "h", name, i) for i, name in enumerate(rest)}


def best_place(table: pd.DataFrame, value: str) -> tuple[str, str, str]:
    """Return model, hook and series of the SAE with the largest mean of a column over seeds.

    Baselines count only where there is nothing else.
    """
    own = learned(table)
    own = table if own.empty else own
    means = own.groupby(["model", "hook", "series"], sort=False)[value].mean()
    return means.idxmax()
