"""Panels of a figure: where each stands, its title, and the labels of the outer axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saeflow.figures.places import Place
from saeflow.figures.texts import fit

MAX_WIDTH = 9.4
"""Of a figure, in inches: what the report shows at its full size."""
_BESIDE = 0.5  # inches, for the labels of the vertical axis
_ABOVE = 0.55  # the same, for the labels of the horizontal axis and a line of a legend
_LEAST_WIDTH = 3.4  # of a figure: its legend has to fit
_BETWEEN, _OWN_TICKS = 0.12, 0.38  # inches of a panel that its axes leave free
_LABEL = 1.0  # of a panel's height
_LINE = 0.13  # inches, of each further line of a title


class Grid(NamedTuple):
    """A figure's panels.

    Attributes
    ----------
    figure : Figure
        With room for what stands around the panels.
    panels : list of tuple of Axes
        Per place its axes from top to bottom.
    widths : list of float
        Of each place's axes, about, in inches.
    height : float
        Of one axes, about, in inches.
    """

    figure: Figure
    panels: list[tuple[Axes, ...]]
    widths: list[float]
    height: float

    @property
    def axes(self) -> list[Axes]:
        """All axes."""
        return list(chain.from_iterable(self.panels))

    def add_beside(self, inches: float) -> None:
        """Make the figure wider by what stands beside panels."""
        self.figure.set_figwidth(self.figure.get_figwidth() + inches)

    def add_below(self, inches: float) -> None:
        """Make the figure taller by what stands below panels, which would take their room."""
        labelled = [ax for ax in self.axes if ax.xaxis.get_tick_params()["labelbottom"]]
        n_rows = len({ax.get_subplotspec().rowspan.start for ax in labelled})
        self.figure.set_figheight(self.figure.get_figheight() + n_rows * inches)

    def label(self, *, x: str, y: str | Sequence[str]) -> None:
        """Label the axes whose ticks are labelled and that stand outside; ``y`` by its level."""
        level = [y] if isinstance(y, str) else list(y)
        leftmost: dict[int, int] = {}
        for ax in self.axes:
            spec = ax.get_subplotspec()
            row, column = spec.rowspan.start, spec.colspan.start
            leftmost[row] = min(column, leftmost.get(row, column))
        for axes, width in zip(self.panels, self.widths, strict=True):
            for number, ax in enumerate(axes):
                spec = ax.get_subplotspec()
                if spec.colspan.start == leftmost[spec.rowspan.start]:
                    ax.set_ylabel(level[number])
                    fit(ax.yaxis.label, _LABEL * self.height)
                if ax.xaxis.get_tick_params()["labelbottom"]:
                    ax.set_xlabel(x)
                    fit(ax.xaxis.label, width)


def panel_grid(
    places: Sequence[Place],
    *,
    size: tuple[float, float],
    widths: Sequence[float] | None = None,
    stacked: int = 1,
    sharex: Any = True,
    sharey: bool = True,
) -> Grid:
    """Lay out a panel per place, in rows and columns that mean the same throughout.

    Where a row has room for all columns, each column has its place, and its width is that of its
    widest panel. Else panels follow one another, in as many columns as leave fewest gaps.

    Parameters
    ----------
    places
        In reading order.
    size
        Width and height of an axes in inches.
    widths
        Of each place, instead of one for all.
    stacked
        How many axes, one above the other and with one horizontal axis, a panel has.
    sharex
        Whether all panels have the same horizontal axis; "col" for those of a column.
    sharey
        Whether all axes of a level have the same vertical axis.
    """
    given = list(widths or [size[0]] * len(places))
    cells, n_columns = cells_of(places, given)
    n_rows = 1 + max(row for row, _ in cells)
    across = [0.0] * n_columns
    for (_, column), width in zip(cells, given, strict=True):
        across[column] = max(across[column], width)
    stretch = max(1.0, (_LEAST_WIDTH - _BESIDE) / sum(across))
    across = [width * stretch for width in across]
    figure = Figure(
        figsize=(sum(across) + _BESIDE, size[1] * n_rows * stacked + _ABOVE), layout="constrained"
    )
    axes = figure.subplots(
        n_rows * stacked, n_columns, squeeze=False, sharex=sharex, width_ratios=across
    )
    inside = [width - (_BETWEEN if sharey else _OWN_TICKS) for width in across]
    panels, broken = [], [0] * n_rows
    for (row, column), place in zip(cells, places, strict=True):
        own = tuple(axes[row * stacked : (row + 1) * stacked, column])
        panels.append(own)
        title = own[0].set_title(place.title)
        fit(title, inside[column])
        broken[row] = max(broken[row], title.get_text().count("\n"))
        for level, ax in enumerate(own):
            if sharey and ax is not panels[0][level]:
                ax.sharey(panels[0][level])
            below = (row + 1, column) in cells
            first = not any((row, before) in cells for before in range(column))
            bottom = level == stacked - 1 and (not below or not sharex)
            ax.tick_params(labelbottom=bottom, labelleft=first or not sharey)
    figure.set_figheight(figure.get_figheight() + sum(broken) * _LINE)
    used = set(chain.from_iterable(panels))
    for ax in axes.flat:
        ax.set_visible(ax in used)
    return Grid(figure, panels, [inside[column] for _, column in cells], size[1] - 0.2)


def cells_of(places: Sequence[Place], widths: Sequence[float]) -> tuple[list[tuple[int, int]], int]:
    """Return row and column of each place, and how many columns there are."""
    columns: dict[str, float] = {}
    for place, width in zip(places, widths, strict=True):
        columns[place.column] = max(width, columns.get(place.column, 0.0))
    rows = list(dict.fromkeys(place.row for place in places))
    room = MAX_WIDTH - _BESIDE + 1e-6
    if sum(columns.values()) <= room:
        at = list(columns)
        return [(rows.index(p.row), at.index(p.column)) for p in places], len(columns)
    most = max(1, int(room / max(widths)))
    sizes = [sum(place.row == row for place in places) for row in rows]
    # Of the widths with the fewest gaps the largest; a narrow one would make the figure tall.
    possible = range(-(-3 * most // 5), most + 1)
    n_columns = min(possible, key=lambda n: (sum(-size % n for size in sizes), -n))
    cells, first = [], 0
    for size in sizes:
        cells += [(first + i // n_columns, i % n_columns) for i in range(size)]
        first += -(-size // n_columns)
    return cells, n_columns
