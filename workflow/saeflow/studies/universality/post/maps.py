"""The post's tables as heat maps: a cell for each SAE whose features are looked for in another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from saeflow.figures.drawing import Drawing
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, hooks_of, spread
from saeflow.figures.style import INK, use_style
from saeflow.figures.texts import inches, shortened
from saeflow.metrics.similarity import CORRELATION, COSINE
from saeflow.studies.universality.post.directed import OTHER, OWN, directed, of_table, to_draw
from saeflow.tables.runs import natural

_MAP, _NOTHING, _SCALE = "YlGn", "#eeeeee", Normalize(0, 1)
_DARK = 0.6  # numbers on darker colours are white
_CELL, _LEAST, _BESIDE = (0.62, 0.4), 2, 0.3  # inches
_NAME = 1.5  # inches that a name may take
_MOST = 6  # panels
_NULLS = {
    COSINE: ("null_gaussian", "null_columns", "null_layer", "null_random", "null_model"),
    CORRELATION: ("null_tokens", "null_layer", "null_random", "null_model"),
}


class _Cells(NamedTuple):
    """In what the SAEs of cells differ, how they are compared, and what is the same in a panel."""

    differ: str
    quantity: str
    panel: tuple[str, ...]


_BY_MODEL = _Cells("model", CORRELATION, ("hook", "sae"))
_BY_EXPANSION = _Cells("expansion", COSINE, ("model", "hook", "architecture"))


def between_models(table: pd.DataFrame) -> Drawing:
    """Draw correlations between models, a panel per hook and recipe."""
    rows = directed(table, _BY_MODEL.differ)
    rows = to_draw(rows[rows["quantity"] == _BY_MODEL.quantity], "SAEs of different models")
    sizes = dict(zip(rows[f"{OWN}_model"], rows[f"{OWN}_d_in"], strict=True))
    order = sorted(sizes, key=lambda model: (sizes[model], natural(model)))
    names = {side: rows[f"{side}_model"] for side in (OWN, OTHER)}
    return _draw(table, rows.assign(**names), _BY_MODEL, order, "model")


def between_expansions(table: pd.DataFrame) -> Drawing:
    """Draw MCS between SAEs that differ in their widths alone, a panel per model and hook."""
    rows = directed(table, _BY_EXPANSION.differ)
    rows = to_draw(rows[rows["quantity"] == _BY_EXPANSION.quantity], "SAEs of different widths")
    ratios = {side: rows[f"{side}_expansion"].map("1:{:g}".format) for side in (OWN, OTHER)}
    order = np.unique(rows[[f"{OWN}_expansion", f"{OTHER}_expansion"]])
    named = [f"1:{ratio:g}" for ratio in order]
    return _draw(table, rows.assign(**ratios), _BY_EXPANSION, named, "ratio")


def _draw(
    table: pd.DataFrame, rows: pd.DataFrame, cells: _Cells, order: Sequence[str], noun: str
) -> Drawing:
    """Draw maps of rows with the names of their SAEs in the columns ``own`` and ``other``."""
    nulls = [name for name in _NULLS[cells.quantity] if rows[name].notna().any()]
    rows = rows.assign(hook=rows[f"{OWN}_hook"], null=rows[nulls].max(axis=1))
    panels = [f"{OWN}_{name}" for name in cells.panel]
    several = [name for name in panels if rows[name].nunique() > 1]
    per_hook = rows.groupby(panels, sort=False).ngroups / rows["hook"].nunique()
    hooks = hooks_of(rows)
    shown = spread(hooks, max(1, int(_MOST / per_hook)))
    rows = rows[rows["hook"].isin(shown)]
    with use_style():
        places = list(_places(rows, panels, several or [f"{OWN}_hook"]))
        size = mpl.rcParams["xtick.labelsize"]
        written = [shortened(name, size, _NAME) for name in order]
        longest = max(inches(name, size) for name in written)
        n = max(_LEAST, len(order))
        grid = panel_grid(places, size=(_CELL[0] * n + _BESIDE, _CELL[1] * n + _BESIDE))
        grid.add_beside(longest)
        upright = longest > 0.9 * _CELL[0]
        grid.add_below(longest if upright else 0.0)
        for (ax,), place in zip(grid.panels, places, strict=True):
            _panel(ax, place.rows, order)
            ax.set_xticks(range(len(order)), written, rotation=90 * upright)
            ax.set_yticks(range(len(order)), written)
        grid.label(x=f"… looked for in this {noun}", y=f"Features of this {noun} …")
    n_pairs = rows.groupby([*panels, OWN, OTHER]).size()
    notes = ["In brackets is the largest of its nulls."]
    if n_pairs.max() > 1:
        notes.append(f"Cells are means over up to {n_pairs.max()} pairs.")
    if len(shown) < len(hooks):
        notes.append(f"Shown are {len(shown)} of {len(hooks)} hooks; the table has all.")
    return Drawing(grid.figure, of_table(table, rows), tuple(notes))


def _places(rows: pd.DataFrame, panels: list[str], named: list[str]) -> Iterator[Place]:
    """Yield a panel per hook and what else tells panels apart; a row per hook where that fills."""
    groups = [
        [own for _, own in rows[rows["hook"] == hook].groupby(panels, sort=False)]
        for hook in hooks_of(rows)
    ]
    filled = len({len(of_hook) for of_hook in groups}) == 1 and len(groups[0]) > 1
    for of_hook in groups:
        for own in of_hook:
            names = {name: str(own[name].iloc[0]) for name in named}
            title, hook = ", ".join(names.values()), names.pop(f"{OWN}_hook", "")
            place = ((hook,), " ".join(names.values())) if filled else ((), title)
            yield Place(*place, title, own)


def _panel(ax: Axes, rows: pd.DataFrame, order: Sequence[str]) -> None:
    cells = rows.groupby([OWN, OTHER])[["value", "null"]].mean()
    values, nulls = (
        cells[name].unstack().reindex(index=order, columns=order).to_numpy(float)
        for name in ("value", "null")
    )
    ax.set_facecolor(_NOTHING)
    ax.grid(visible=False)
    ax.imshow(values, cmap=_MAP, norm=_SCALE, aspect="auto")
    for y, x in np.argwhere(np.isfinite(values)):
        colour = "white" if values[y, x] > _DARK else INK
        text = {"ha": "center", "color": colour}
        ax.text(x, y, f"{values[y, x]:.3f}", va="bottom", fontsize=7, **text)
        if np.isfinite(nulls[y, x]):
            ax.text(x, y + 0.08, f"({nulls[y, x]:.3f})", va="top", fontsize=5.5, **text)
