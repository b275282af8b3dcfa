"""Estimates in rows with names: what adding SAE probes gives, by SAE and by condition; chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from saeflow.figures.axes import MARGIN, arms, short
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import spread
from saeflow.figures.style import INK, MUTED, REFERENCE, SERIES, use_style
from saeflow.probing.draws import NORMAL, SHIFT
from saeflow.studies.classification.averages import DATASETS, PERMUTATIONS, TEXTS
from saeflow.studies.classification.settings.compared import ALL
from saeflow.studies.classification.settings.shown import (
    by_texts_and_hook,
    few_hooks,
    name_rows,
    one_pooling,
    together,
)
from saeflow.studies.saying import span

_ROW, _ROOM = 0.15, 0.4  # inches: of a row, and of what a panel has besides
_WIDTH = 1.9
_NAMES = 1.5  # inches that names may take
_TALL = 30  # rows of all panels of a column, about
_MOST_SAES = 6
_POINT = ["labelled", "model", "hook", "row", "series"]
_GAIN = "Gain in AUC by SAE probes"


def gains_by_sae(table: pd.DataFrame) -> Drawing:
    """Draw what each SAE's probes add to all examples: a row per SAE, a panel per hook."""
    table, pooled = one_pooling(table[table["setting"] == NORMAL])
    recipes = [name for name in dict.fromkeys(table["sae"]) if name != ALL]
    controls = set(table.loc[table["baseline"] != "", "sae"])
    recipes.sort(key=controls.__contains__)  # they are last
    names = [*([ALL] if ALL in set(table["sae"]) else []), *recipes]
    named = {name: f"{name} (control)" if name in controls else name for name in names}
    table = table.assign(row=table["sae"].map(named), series="", value=table["gain"])
    colours = {"": SERIES[0]}
    return _forest(table, [named[name] for name in names], 0.0, colours, _GAIN, pooled, right=True)


def gains_by_condition(table: pd.DataFrame) -> Drawing:
    """Draw the same of all SAEs of a hook together, a row per condition of the training sets."""
    table, pooled = one_pooling(together(table))
    conditions = table[["setting", "level"]].drop_duplicates()
    conditions = conditions.sort_values("level", kind="stable")
    names = [
        condition_name(setting, level)
        for wanted in (NORMAL, "scarcity", "imbalance", "noise", SHIFT)
        for setting, level in conditions.itertuples(index=False)
        if setting == wanted
    ]
    own = map(condition_name, table["setting"], table["level"])
    table = table.assign(row=list(own), series="", value=table["gain"])
    return _forest(table, names, 0.0, {"": SERIES[0]}, _GAIN, pooled, right=True)


def condition_name(setting: str, level: float) -> str:
    """Return a condition in words."""
    words = {
        NORMAL: "all examples",
        SHIFT: "another source",
        "scarcity": f"{short(level)} examples",
        "imbalance": f"{100 * level:.3g} % positive",
        "noise": f"{100 * level:.3g} % flipped",
    }
    return words.get(setting, setting)


def chance(table: pd.DataFrame) -> Drawing:
    """Draw the AUC of probes of permuted labels: a row per kind of probe, a panel per hook."""
    table, pooled = one_pooling(table)
    saes = [name for name in dict.fromkeys(table["sae"]) if name]
    shown = spread(saes, _MOST_SAES)
    if len(shown) < len(saes):
        pooled += (f"Shown are {len(shown)} of {len(saes)} SAEs; the table has all.",)
    table = table[table["sae"].isin(["", *shown])]
    colours = {"": INK, **{name: SERIES[i % len(SERIES)] for i, name in enumerate(shown)}}
    probes = (
        table[["sae", "probe"]].assign(codes=table["sae"] != "").sort_values("codes", kind="stable")
    )
    names = list(dict.fromkeys(probes["probe"]))
    table = table.assign(row=table["probe"], series=table["sae"], value=table["auc"])
    table = table.rename(columns={"auc_low": "value_low", "auc_high": "value_high"})
    table, seeds = _over_seeds(table)
    pooled = (*seeds, *pooled)
    return _forest(table, names, 0.5, colours, "AUC with permuted labels", pooled, right=False)


def _over_seeds(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return one row for all seeds of an SAE, with the ends of all their intervals, and a note."""
    n = table.groupby(_POINT, sort=False)["seed"].nunique().max()
    if n == 1:
        return table, ()
    ends = {"value": "mean", "value_low": "min", "value_high": "max"}
    others = {name: "first" for name in table if name not in (*ends, *_POINT)}
    found = table.groupby(_POINT, sort=False).agg({**others, **ends}).reset_index()
    note = (
        f"Dots of SAEs are means over {n} seeds; strokes reach from the lowest to the highest end"
        " of their 95 % intervals."
    )
    return found, (note,)


def _forest(
    table: pd.DataFrame,
    names: Sequence[str],
    line: float,
    colours: dict[str, str],
    label: str,
    notes: tuple[str, ...],
    *,
    right: bool,
) -> Drawing:
    """Draw panels of rows with names; ``right`` is whether the share picked stands beside them."""
    if "value_low" not in table:
        table = table.assign(value_low=table["gain_low"], value_high=table["gain_high"])
    table, odd = finite(table, ["value"])
    names = [name for name in names if name in set(table["row"])]
    table, fewer = few_hooks(table, max(4, 6 * _TALL // len(names)))
    with use_style():
        places = by_texts_and_hook(table)
        grid = panel_grid(places, size=(_WIDTH, _ROW * len(names) + _ROOM))
        name_rows(grid, names, _NAMES)
        for (ax,), place in zip(grid.panels, places, strict=True):
            ax.axvline(line, **REFERENCE)
            _panel(ax, place.rows, names, colours, right=right)
        below, above = arms(table, "value")
        low = min(line, (table["value"] - below).min())
        high = max(line, (table["value"] + above).max())
        room = (high - low) or 0.02
        grid.axes[0].set_xlim(low - MARGIN * room, high + (0.3 if right else MARGIN) * room)
        grid.label(x=label, y="")
        if len(colours) > 1:
            handles = [
                Line2D([], [], color=colour, marker="o", markersize=3, linewidth=0.8,
                       label=name or "states")
                for name, colour in colours.items()
            ]  # fmt: skip
            legend_above(grid.figure, handles)
    seeds = seeds_note(
        table.groupby(_POINT).size(), mean="Numbers are",
        one="", several="dots are single seeds of SAEs with their 95 % intervals.",
    )  # fmt: skip
    said = tuple(filter(None, (seeds, over(table))))
    drawn = table.drop(columns=["row", "series", "value"])
    return Drawing(grid.figure, drawn, (*said, *notes, *odd, *fewer))


def _panel(
    ax: Axes, chosen: pd.DataFrame, names: Sequence[str], colours: dict[str, str], *, right: bool
) -> None:
    ax.grid(axis="x")
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    for row, own in chosen.groupby("row", sort=False):
        points = [
            (colour, one)
            for name, colour in colours.items()
            for _, one in own[own["series"] == name].iterrows()
        ]
        offsets = (np.arange(len(points)) - (len(points) - 1) / 2) * 0.7 / len(points)
        for (colour, one), offset in zip(points, offsets, strict=True):
            both = arms(pd.DataFrame([one]), "value")
            ax.errorbar(
                one["value"], names.index(row) + offset, xerr=both, color=colour,
                marker="o", markersize=3 if len(points) < 4 else 2, elinewidth=0.8,
            )  # fmt: skip
        if right:
            ax.text(
                0.99, names.index(row), f"{own['picked'].mean():.0%}", fontsize=5.5,
                color=MUTED, ha="right", va="center", transform=ax.get_yaxis_transform(),
            )  # fmt: skip


def over(table: pd.DataFrame) -> str:
    """Return what intervals are over, and how many tasks numbers are means of."""
    kinds = {
        DATASETS: "resampled datasets",
        TEXTS: "resampled texts of these few datasets",
        PERMUTATIONS: "tasks and their permutations",
    }
    what = " or ".join(kinds[kind] for kind in dict.fromkeys(table["resampled"]))
    if table["n_tasks"].max() == 1:
        kind = PERMUTATIONS if PERMUTATIONS in set(table["resampled"]) else "resampled texts"
        return f"Of one task; intervals are over {kind}."
    n = span(table["n_tasks"], ".0f")
    return f"Means over {n} tasks; intervals are over {what}."
