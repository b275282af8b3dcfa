"""Task by task: the best SAE probe against the best baseline, and both under a shift."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.labels import Label, drawn, place_labels
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import spread
from saeflow.figures.style import INK, REFERENCE, use_style
from saeflow.probing.draws import NORMAL, SHIFT
from saeflow.studies.classification.settings.curves import LOOKS
from saeflow.studies.classification.settings.shown import (
    by_texts_and_hook,
    few_hooks,
    name_rows,
    one_pooling,
    together,
)
from saeflow.studies.classification.settings.tables import BEST, BEST_SPARSE

_VALUES = ["auc_baselines", "auc_sparse"]
_OWN = ["own_baselines", "own_sparse"]
_MOST_HOOKS = 12
_FEW_TASKS, _NAMED = 8, 4  # of a panel: all are named where they are so few, else so many
_MOST_ROWS = 40  # tasks of a panel under a shift
_MOST_SHIFTED = 4  # hooks
_ROW, _ROOM = 0.2, 0.4  # inches: of a task, and of what a panel has besides
_NAMES = 1.7
_HOLLOW = {"markerfacecolor": "white", "markeredgewidth": 0.8, "zorder": 3}


def tasks_scatter(table: pd.DataFrame) -> Drawing:
    """Draw the AUC of the best SAE probe against that of the best baseline, a point per task."""
    table, notes = _of_setting(table, NORMAL, _MOST_HOOKS)
    with use_style():
        places = by_texts_and_hook(table)
        grid = panel_grid(places, size=(2.3, 2.2))
        low = min(0.5, float(table[_VALUES].min().min()))
        ends = [low - 0.03 * (1 - low), 1 + 0.03 * (1 - low)]
        labels = []
        for (ax,), place in zip(grid.panels, places, strict=True):
            ax.plot([0, 1], [0, 1], **REFERENCE)
            ax.set(xlim=ends, ylim=ends)
            points = place.rows.groupby("task", sort=True)[_VALUES].mean()
            ax.plot(*points.to_numpy().T, **LOOKS[BEST_SPARSE].point(3.5))
            labels.append(_named(points))
        grid.label(x="AUC of the best baseline", y="AUC of the best SAE probe")
        renderer = drawn(grid.figure)
        for ax, own in zip(grid.axes, labels, strict=True):
            place_labels(ax, own, renderer)
    if table.groupby(["labelled", "hook"])["task"].nunique().max() > _FEW_TASKS:
        notes = (f"Named are the {_NAMED} tasks of a panel whose points are farthest off the"
                 " diagonal.", *notes)  # fmt: skip
    return Drawing(grid.figure, table, notes)


def _of_setting(
    table: pd.DataFrame, setting: str, most: int
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    table, pooled = one_pooling(together(table[table["setting"] == setting]))
    table, odd = finite(table, _VALUES)
    table, fewer = few_hooks(table, most)
    n = table["seed"].nunique()
    seeds = (f"Points are means over {n} seeds of SAEs.",) if n > 1 else ()
    return table, (*seeds, *pooled, *odd, *fewer)


def _named(points: pd.DataFrame) -> list[Label]:
    """Return names of the points: of all where they are few, else of those off the diagonal."""
    apart = (points[_VALUES[1]] - points[_VALUES[0]]).abs()
    n = len(points) if len(points) <= _FEW_TASKS else _NAMED
    chosen = points.loc[apart.sort_values(ascending=False, kind="stable").index[:n]]
    taken = [(x, y, x, y) for x, y in points.to_numpy()]
    return [Label(str(task), [(x, y)], 0, taken) for task, x, y in chosen.itertuples()]


def shifted(table: pd.DataFrame) -> Drawing:
    """Draw AUC on texts of another source beside that on the task's own: a row per task."""
    table, notes = _of_setting(table, SHIFT, _MOST_SHIFTED)
    lost = (table["own_baselines"] - table["auc_baselines"]).groupby(table["task"]).mean()
    tasks = list(lost.sort_values(ascending=False, kind="stable").index)
    names = spread(tasks, _MOST_ROWS)
    if len(names) < len(tasks):
        notes += (f"Shown are {len(names)} of {len(tasks)} tasks, spread over how much they lose;"
                  " the table has all.",)  # fmt: skip
    table = table[table["task"].isin(names)]
    with use_style():
        places = by_texts_and_hook(table)
        grid = panel_grid(places, size=(2.0, _ROW * len(names) + _ROOM))
        name_rows(grid, names, _NAMES)
        for (ax,), place in zip(grid.panels, places, strict=True):
            _pairs(ax, place.rows, names)
        grid.label(x="AUC", y="")
        looks = [LOOKS[BEST], LOOKS[BEST_SPARSE]]
        handles = [Line2D([], [], label=look.label, **look.point(3.2)) for look in looks]
        hollow = {"color": INK, "marker": "o", "markersize": 3.2, "linestyle": "", **_HOLLOW}
        handles.append(Line2D([], [], label="hollow: another source", **hollow))
        legend_above(grid.figure, handles)
    return Drawing(grid.figure, table, notes)


def _pairs(ax: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    ax.axvline(0.5, **REFERENCE)
    ax.grid(axis="x")
    ax.grid(axis="y", visible=False)
    means = rows.groupby("task")[[*_OWN, *_VALUES]].mean()
    for offset, value, own, series in zip((-0.16, 0.16), _VALUES, _OWN, LOOKS, strict=False):
        look = LOOKS[series]
        y = [names.index(task) + offset for task in means.index]
        ax.hlines(y, means[value], means[own], color=look.colour, linewidth=0.8, zorder=2)
        ax.plot(means[own], y, **look.point(3.2) | {"markeredgewidth": 0})
        ax.plot(means[value], y, **look.point(3.2) | _HOLLOW | {"markeredgecolor": look.colour})
