"""Panels of a figure: one per model and recipe or hook, with shared axes and one legend."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import (
    FixedLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    ScalarFormatter,
)

from saeflow.figures.style import INK, Look
from saeflow.hooks import Hook

MAX_COLUMNS = 4
_L0_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
ORIGINAL = "original"
NO_LABELS: Mapping[str, str] = {}
_LEGEND_LINE = 0.14  # inches
_COLUMN_GAP = 1.2  # font sizes, between columns of a legend
_LEGEND_MARGINS = 2.0  # the same, within and outside of its frame, both sides
_LEGEND_GAPS = _COLUMN_GAP + 0.8  # the same, with matplotlib's gap between handle and label


def panel_grid(
    panels: Mapping[tuple[str, str], str],
    *,
    panel_size: tuple[float, float],
    sharex: bool = True,
    sharey: bool = True,
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Lay out one panel per key, each model beginning a new row.

    Parameters
    ----------
    panels
        (model, other) -> title.
    panel_size
        Width and height of a panel in inches.
    sharex, sharey
        Whether all panels have the same limits.
    """
    rows, n_columns = _rows(panels)
    width, height = panel_size
    # A single panel needs room for its labels and a legend beside it.
    figure = Figure(
        figsize=(max(3.4, width * n_columns + 0.5), height * len(rows) + 0.55),
        layout="constrained",
    )
    axes = figure.subplots(len(rows), n_columns, squeeze=False, sharex=sharex, sharey=sharey)
    found = {}
    for row, keys in enumerate(rows):
        for column in range(n_columns):
            ax = axes[row, column]
            if column >= len(keys):
                ax.set_visible(False)
                continue
            found[keys[column]] = ax
            ax.set_title(panels[keys[column]])
            last = row + 1 == len(rows) or column >= len(rows[row + 1])
            ax.tick_params(labelbottom=last or not sharex, labelleft=column == 0 or not sharey)
    return figure, found


def pair_grid(
    panels: Mapping[tuple[str, str], str], *, sharey: bool
) -> tuple[Figure, dict[tuple[str, str], Sequence[Axes]]]:
    """Lay out two panels per key, one above the other, with the same horizontal axis.

    Parameters
    ----------
    panels
        (model, hook) -> title of the upper panel.
    sharey
        Whether upper panels have one vertical axis, and lower ones another.
    """
    rows, n_columns = _rows(panels)
    figure = Figure(
        figsize=(max(3.4, 1.75 * n_columns + 0.7), 3.0 * len(rows) + 0.6), layout="constrained"
    )
    axes = figure.subplots(2 * len(rows), n_columns, squeeze=False, sharex=True)
    for ax in axes.flat:
        ax.set_visible(False)
    found = {}
    for row, keys in enumerate(rows):
        for column, key in enumerate(keys):
            found[key] = pair = axes[2 * row : 2 * row + 2, column]
            pair[0].set_title(panels[key])
            for number, ax in enumerate(pair):
                ax.set_visible(True)
                if sharey and ax is not axes[number, 0]:
                    ax.sharey(axes[number, 0])
                ax.tick_params(labelbottom=number == 1, labelleft=column == 0 or not sharey)
    return figure, found


def _rows(keys: Iterable[tuple[str, str]]) -> tuple[list[list[tuple[str, str]]], int]:
    """Return the keys of each row of panels, and the number of columns."""
    by_model: dict[str, list[tuple[str, str]]] = {}
    for key in keys:
        by_model.setdefault(key[0], []).append(key)
    n_columns = min(MAX_COLUMNS, max(len(own) for own in by_model.values()))
    rows = [
        own[start : start + n_columns]
        for own in by_model.values()
        for start in range(0, len(own), n_columns)
    ]
    return rows, n_columns


def by_place(
    table: pd.DataFrame, places: pd.Series
) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], pd.DataFrame]]:
    """Divide a table among panels, one per model and place, in the order of the table.

    Parameters
    ----------
    table
        With a column model.
    places
        Of each row, the place within its model: a hook, a recipe, or both in words.

    Returns
    -------
    titles : dict
        (model, place) -> title, which names the model only where there are several.
    parts : dict
        (model, place) -> its rows.
    """
    parts = dict(iter(table.groupby([table["model"], places.rename("place")], sort=False)))
    one = table["model"].nunique() == 1
    titles = {key: key[1] if one else ", ".join(key) for key in parts}
    return titles, parts


def of_tuned_recipes(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of the recipes that were fine-tuned; all rows where none was."""
    tuned = table.loc[table["method"] != ORIGINAL, "sae"].unique()
    return table[table["sae"].isin(tuned)] if len(tuned) else table


def hooks_of(table: pd.DataFrame) -> list[str]:
    """Return the hooks in the order of the table, which is that of the model."""
    return list(dict.fromkeys(table["hook"]))


def layer_axis(ax: Axes, table: pd.DataFrame) -> dict[str, int]:
    """Put the hooks on the x axis and return the position of each."""
    frame = table.drop_duplicates("hook")
    frame = frame.iloc[np.argsort(frame["hook"].map(Hook.parse), kind="stable")]
    hooks, sites = list(frame["hook"]), list(frame["site"].unique())
    single = len(sites) == 1
    ax.set_xticks(range(len(hooks)), frame["block"] if single else hooks)
    if not single:
        ax.tick_params(axis="x", labelrotation=45)
    ax.set_xlim(-0.6, len(hooks) - 0.4)
    return {hook: position for position, hook in enumerate(hooks)}


def layer_label(table: pd.DataFrame) -> str:
    """Return the label of the axis made by `layer_axis`."""
    sites = table["site"].unique()
    return f"Block ({sites[0]})" if len(sites) == 1 else "Hook"


def label_outer(axes: Iterable[Axes], *, x: str, y: str) -> None:
    """Label the panels at the left and at the bottom, whose ticks are labelled."""
    for ax in axes:
        grid = ax.get_subplotspec()
        if grid.is_first_col():
            ax.set_ylabel(y)
        if ax.xaxis.get_tick_params()["labelbottom"]:
            ax.set_xlabel(x)


def method_legend(figure: Figure, looks: Mapping[str, Look]) -> None:
    """Put one legend of the methods' markers above all panels."""
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="", label=look.label)
        for look in looks.values()
    ]
    legend_above(figure, handles)


def legend_above(figure: Figure, handles: Sequence[Any]) -> None:
    """Put a legend above all panels, in as many columns as fit the figure's width."""
    # Matplotlib does not wrap legends: its columns are found from the widths of the labels.
    size = mpl.rcParams["legend.fontsize"]
    beside = (mpl.rcParams["legend.handlelength"] + _LEGEND_GAPS) * size / 72
    widths = [_inches(handle.get_label(), size) + beside for handle in handles]
    room = figure.get_figwidth() - _LEGEND_MARGINS * size / 72
    n_columns = next((n for n in range(len(widths), 1, -1) if _width(widths, n) < room), 1)
    # as few columns as give no more lines, or the last ones stay short
    n_columns = -(-len(widths) // -(-len(widths) // n_columns))
    # Further lines make the figure taller, or they would take their room from the panels.
    n_more = -(-len(widths) // n_columns) - 1
    figure.set_figheight(figure.get_figheight() + _LEGEND_LINE * n_more)
    figure.legend(
        handles=handles, loc="outside upper left", ncols=n_columns, labelcolor=INK,
        columnspacing=_COLUMN_GAP,
    )  # fmt: skip


def _inches(label: str, size: float) -> float:
    """Return how wide a label is in a legend of font size ``size``."""
    font = FontProperties(size=size)
    return text_to_path.get_text_width_height_descent(label, font, ismath=False)[0] / 72


def _width(widths: Sequence[float], n_columns: int) -> float:
    """Return the width of a legend that is filled column by column, the first ones first."""
    n_rows, n_long = divmod(len(widths), n_columns)
    ends = np.cumsum([0] + [n_rows + 1] * n_long + [n_rows] * (n_columns - n_long))
    return sum(max(widths[i:j]) for i, j in itertools.pairwise(ends))


def arms(rows: pd.DataFrame, value: str) -> np.ndarray:
    """Return the lengths of error bars, (2, n); 0 where there is no interval."""
    below, above = rows[value] - rows[f"{value}_low"], rows[f"{value}_high"] - rows[value]
    return np.nan_to_num(np.stack([below, above]).astype(float)).clip(min=0)


def l0_axis(ax: Axes, values: pd.Series) -> None:
    """Make the horizontal axis a logarithmic one of L0, with room beside these values."""
    ax.set_xscale("log")
    low, high = values.min() / 1.7, values.max() * 1.7
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator([t for t in _L0_TICKS if low <= t <= high]))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())


def few_ticks(ax: Axes) -> None:
    """Keep ticks from crowding a small panel."""
    ax.yaxis.set_major_locator(MaxNLocator(5))
