"""How often SAE probes win: a map per hook and opponent, SAEs by the number of latents."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place
from saeflow.figures.style import INK, use_style
from saeflow.studies.classification.settings.forest import over
from saeflow.studies.classification.settings.shown import (
    by_texts_and_hook,
    few_hooks,
    name_rows,
    one_pooling,
)
from saeflow.studies.classification.settings.tables import ALL_LATENTS, BEST_SPARSE
from saeflow.studies.classification.settings.wins import LOGISTIC, OPPONENTS
from saeflow.tables.runs import natural

_MAP, _NOTHING = "RdBu", "#dddddd"
_CELL, _ROW, _ROOM = 0.36, 0.19, 0.75  # inches: across, up, and beside the cells of a panel
_TALLEST = 12.0  # inches of a figure, about
_LEAST = 2  # hooks, at least
_NAMES = 1.7
_DARK = 0.6  # of the scale: numbers on colours beyond it are white
_SHORT = {ALL_LATENTS: "all", BEST_SPARSE: "best"}
_AGAINST = {LOGISTIC: "against logistic regression", OPPONENTS[1]: "against the best baseline"}


def win_rates(table: pd.DataFrame) -> Drawing:
    """Draw the shares of tasks won: a row per SAE, a column per probe, colours by the share."""
    table, pooled = one_pooling(table)
    table, odd = finite(table, ["won"])
    recipes = sorted(dict.fromkeys(table["sae"]), key=lambda name: _order(table, name))
    probes = list(dict.fromkeys(table.sort_values("k", key=_after, kind="stable")["probe"]))
    tall = _ROW * len(recipes) + _ROOM
    table, fewer = few_hooks(table, max(_LEAST, int(_TALLEST / tall)))
    with use_style():
        places = [
            Place((*place.row, place.column), opponent, f"{place.title}, {words}", rows)
            for place in by_texts_and_hook(table)
            for opponent, words in _AGAINST.items()
            if len(rows := place.rows[place.rows["opponent"] == opponent])
        ]
        grid = panel_grid(places, size=(_CELL * len(probes) + 0.2, tall))
        name_rows(grid, [_name(table, name) for name in recipes], _NAMES)
        for (ax,), place in zip(grid.panels, places, strict=True):
            _cells(ax, place.rows, recipes, probes)
            ax.set_xticks(
                range(len(probes)), [_SHORT.get(p, p.removeprefix("k = ")) for p in probes]
            )
        grid.label(x="Latents that the probe reads", y="")
    unsure = (table["won_low"] <= 0.5) & (table["won_high"] >= 0.5)
    seeds = table["seed"].nunique()
    notes = (f"Cells are means over {seeds} seeds of SAEs.",) if seeds > 1 else ()
    if unsure.any():
        which = "intervals of all seeds have" if seeds > 1 else "interval has"
        notes += (f"Numbers in brackets: the 95 % {which} one half in it.",)
    return Drawing(grid.figure, table, (*notes, over(table), *pooled, *odd, *fewer))


def _order(table: pd.DataFrame, name: str) -> tuple:
    """Return what SAEs are sorted by: controls last, then the width, then the name."""
    first = table[table["sae"] == name].iloc[0]
    return (bool(first["baseline"]), first["d_sae"], natural(name))


def _after(k: pd.Series) -> pd.Series:
    """Return numbers of latents, with 0, which is all of them, behind all others."""
    return k.where(k > 0, k.max() + 1)


def _name(table: pd.DataFrame, name: str) -> str:
    first = table[table["sae"] == name].iloc[0]
    return f"{name} (control)" if first["baseline"] else f"{name}, {first['d_sae']:,} wide"


def _cells(ax: Axes, rows: pd.DataFrame, recipes: list[str], probes: list[str]) -> None:
    cells = rows.groupby(["sae", "probe"])
    unsure = (rows["won_low"] <= 0.5) & (rows["won_high"] >= 0.5)
    doubt = unsure.groupby([rows["sae"], rows["probe"]]).all()
    won = cells["won"].mean()
    values = won.unstack().reindex(index=recipes, columns=probes).to_numpy(float)
    ax.set_facecolor(_NOTHING)
    ax.grid(visible=False)
    ax.imshow(values, cmap=_MAP, norm=Normalize(0, 1), aspect="auto")
    ax.set_ylim(len(recipes) - 0.5, -0.5)
    for (recipe, probe), value in won.items():
        text = f"{value:.2f}".removeprefix("0")
        dark = abs(value - 0.5) > _DARK / 2
        text = f"({text})" if doubt[recipe, probe] else text
        ax.text(
            probes.index(probe), recipes.index(recipe), text,
            ha="center", va="center", fontsize=5.5, color="white" if dark else INK,
        )  # fmt: skip
