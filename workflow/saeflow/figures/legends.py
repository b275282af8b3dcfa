"""Legends above all panels, in as many columns as fit."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.style import INK, Look
from saeflow.figures.texts import inches

_LINE = 0.14  # inches
_COLUMN_GAP = 1.2  # font sizes, between columns of a legend
_MARGINS = 2.0  # the same, within and outside of its frame, both sides
_GAPS = _COLUMN_GAP + 0.8  # the same, with matplotlib's gap between handle and label


def method_legend(figure: Figure, looks: Mapping[str, Look], *more: Any) -> None:
    """Put one legend of the methods' markers, and of ``more``, above all panels."""
    points = [Line2D([], [], label=look.label, **look.point()) for look in looks.values()]
    legend_above(figure, [*points, *more])


def line_handles(looks: Mapping[str, Look]) -> list[Line2D]:
    """Return a marker on a line for each look."""
    return [
        Line2D([], [], label=look.label, **(look.point(3.5) | look.line()))
        for look in looks.values()
    ]


def legend_above(figure: Figure, handles: Sequence[Any]) -> None:
    """Put a legend above all panels, in as many columns as fit the figure's width."""
    # Matplotlib does not wrap legends: its columns are found from the widths of the labels.
    size = mpl.rcParams["legend.fontsize"]
    beside = (mpl.rcParams["legend.handlelength"] + _GAPS) * size / 72
    widths = [inches(handle.get_label(), size) + beside for handle in handles]
    room = figure.get_figwidth() - _MARGINS * size / 72
    n_columns = next((n for n in range(len(widths), 1, -1) if _width(widths, n) < room), 1)
    # as few columns as give no more lines, or the last ones stay short
    n_columns = -(-len(widths) // -(-len(widths) // n_columns))
    # Further lines make the figure taller, or they would take their room from the panels.
    n_more = -(-len(widths) // n_columns) - 1
    figure.set_figheight(figure.get_figheight() + _LINE * n_more)
    figure.legend(
        handles=handles, loc="outside upper left", ncols=n_columns, labelcolor=INK,
        columnspacing=_COLUMN_GAP,
    )  # fmt: skip


def _width(widths: Sequence[float], n_columns: int) -> float:
    """Return the width of a legend that is filled column by column, the first ones first."""
    n_rows, n_long = divmod(len(widths), n_columns)
    ends = np.cumsum([0] + [n_rows + 1] * n_long + [n_rows] * (n_columns - n_long))
    return sum(max(widths[i:j]) for i, j in itertools.pairwise(ends))
