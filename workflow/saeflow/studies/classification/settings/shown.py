"""Which rows of a table a figure of probes shows, and a panel for each hook on each texts."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd

from saeflow.figures.panels import Grid
from saeflow.figures.places import Place, hooks_of, learned, spread
from saeflow.figures.texts import inches, shortened
from saeflow.studies.classification.settings.compared import ALL


def one_pooling(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows of the first pooling, "last" where there is that, and a note on others.

    Names that are empty, of no SAE and of no baseline, are so again: CSV has nothing there.
    """
    table = table.assign(**{name: table[name].fillna("") for name in ("sae", "baseline")})
    found = list(dict.fromkeys(table["pooling"]))
    if len(found) < 2:
        return table, ()
    first = "last" if "last" in found else found[0]
    note = f"Shown is pooling “{first}”, of {', '.join(found)}; the table has all."
    return table[table["pooling"] == first], (note,)


def together(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows about all SAEs of a hook; of its one SAE where there is no other."""
    kept = learned(table)
    kept = kept if len(kept) else table
    several = kept.groupby(["labelled", "model", "hook"])["sae"].transform(
        lambda s: (s == ALL).any()
    )
    return kept[(kept["sae"] == ALL) | ~several]


def few_hooks(table: pd.DataFrame, most: int) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows of at most so many hooks, spread over the model, and a note on the others."""
    hooks = hooks_of(table)
    chosen = spread(hooks, most)
    if len(chosen) == len(hooks):
        return table, ()
    note = (
        f"Shown are {len(chosen)} of {len(hooks)} hooks, spread over the model; the table has all."
    )
    return table[table["hook"].isin(chosen)], (note,)


def name_rows(grid: Grid, names: Sequence[str], room: float) -> None:
    """Name the rows of panels, from the top, in at most so many inches."""
    size = mpl.rcParams["ytick.labelsize"]
    short = [shortened(name, size, room) for name in names]
    grid.add_beside(max(inches(name, size) for name in short))
    grid.axes[0].set_yticks(range(len(names)), short)
    grid.axes[0].set_ylim(len(names) - 0.4, -0.6)


def by_texts_and_hook(table: pd.DataFrame) -> list[Place]:
    """Return a panel per labelled texts, model and hook, named by what there are several of."""
    several = [name for name in ("labelled", "model") if table[name].nunique() > 1]
    hooks, found = hooks_of(table), []
    for (texts, model), rows in table.groupby(["labelled", "model"], sort=False):
        for hook in hooks:
            own = rows[rows["hook"] == hook]
            if len(own):
                names = {"labelled": texts, "model": model}
                title = ", ".join([*(names[name] for name in several), hook])
                found.append(Place((texts, model), hook, title, own))
    return found
