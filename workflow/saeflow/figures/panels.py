"""Panels of a figure: one per model and recipe or hook, with shared axes and one legend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from saeflow.errors import DataError
from saeflow.figures.style import INK, Look

MAX_COLUMNS = 4
_LEGEND_LINE = 0.14  # inches


def require_rows(table: pd.DataFrame, what: str) -> None:
    """Raise a `DataError` for a table without rows: an empty figure says nothing."""
    if table.empty:
        raise DataError(f"there is nothing to draw: the table of {what} has no rows")


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


def title_of(table: pd.DataFrame, model: str, other: str) -> str:
    """Return a panel's title; the model is named only where there are several."""
    return other if table["model"].nunique() == 1 else f"{model}, {other}"


def hooks_of(table: pd.DataFrame) -> list[str]:
    """Return the hooks in the order of the table, which is that of the model."""
    return list(dict.fromkeys(table["hook"]))


def layer_axis(ax: Axes, table: pd.DataFrame) -> dict[str, int]:
    """Put the hooks on the x axis and return the position of each."""
    frame = table.drop_duplicates("hook").sort_values(["site", "block"])
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
    # Matplotlib does not wrap legends: widths in inches are estimated from the labels.
    widths = [0.058 * len(handle.get_label()) + 0.4 for handle in handles]
    n_columns = next(
        (n for n in range(len(widths), 1, -1) if _width(widths, n) < figure.get_figwidth()), 1
    )
    # Further lines make the figure taller, or they would take their room from the panels.
    n_more = -(-len(widths) // n_columns) - 1
    figure.set_figheight(figure.get_figheight() + _LEGEND_LINE * n_more)
    figure.legend(
        handles=handles, loc="outside upper left", ncols=n_columns, labelcolor=INK,
        columnspacing=1.2,
    )  # fmt: skip


def _width(widths: Sequence[float], n_columns: int) -> float:
    """Return the width of a legend that is filled column by column."""
    n_rows = -(-len(widths) // n_columns)
    return sum(max(widths[i : i + n_rows]) for i in range(0, len(widths), n_rows))


def few_ticks(ax: Axes) -> None:
    """Keep ticks from crowding a small panel."""
    ax.yaxis.set_major_locator(MaxNLocator(5))
