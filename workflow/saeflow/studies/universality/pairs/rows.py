"""Numbers of comparisons in rows with names, beside what they are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, spread
from saeflow.figures.style import MUTED, SERIES, Look, use_style
from saeflow.figures.texts import inches, shortened
from saeflow.studies.saying import span
from saeflow.studies.universality.pairs.looks import (
    FEWER,
    NULL,
    QUANTITY,
    SENSE,
    SPACE,
    of_comparisons,
)
from saeflow.studies.universality.pairs.tables import CHANCE

_ROW, _ROOM = 0.32, 0.5  # inches: of a row, and of what a panel has besides
_WIDTH = 1.75
_NAMES = 1.9  # inches that names may take
_MOST_ROWS = 30
_VALUES, _CHANCE, _UNRELATED = (-0.34, -0.12), 0.12, 0.34
"""Where in a row, which is 1 high, downwards."""
_SIZE = 4.0  # points of a marker
_ENDS = {"value": "mean", "low": "min", "high": "max"}


class Series(NamedTuple):
    """What a row has a mark for.

    Attributes
    ----------
    look : Look
        How it looks.
    at : float
        Where in the row that is, downwards; rows are 1 apart.
    """

    look: Look
    at: float


def similarity(
    table: pd.DataFrame, *, statistics: Sequence[str], labels: Mapping[str, str]
) -> Drawing:
    """Draw a panel per similarity and in it a row per comparison and what its SAEs differ in.

    Of one statistic both directions are drawn, with all nulls; of several that of the SAE with
    fewer features, each in a colour, with its largest null.

    Parameters
    ----------
    statistics
        Metrics.
    labels
        Metric -> axis label.
    """
    table, odd = finite(of_comparisons(table[table["statistic"].isin(statistics)]), ["value"])
    table, fewer = _shown(table)
    notes: tuple[str, ...] = ()
    if len(statistics) == 1:
        points, series = _directions(table)
        label = labels[statistics[0]]
    else:
        table = table[table["sense"] == FEWER]
        points, series = _several(table, statistics, labels)
        label = "Statistic"
        notes = (
            "Looked for are the features of the SAE with fewer in the other; bars of one colour"
            " are the largest null of each.",
        )
    quantities = {name: text for name, text in QUANTITY.items() if name in set(table["quantity"])}
    n_pairs = table.groupby(["row", "quantity", "statistic", "sense"], sort=False)["n_pairs"].sum()
    drawn = table.drop(columns=["row", "sense"])
    figure = draw_rows(points, series, quantities, label)
    return Drawing(figure, drawn, (*notes, _over(n_pairs), *odd, *fewer))


def spaces(table: pd.DataFrame) -> Drawing:
    """Draw a panel per similarity of spaces and in it a row per comparison."""
    table, odd = finite(of_comparisons(table), ["value"])
    table, fewer = _shown(table)
    nulls = {"value": "null", "low": "null", "high": "null"}
    ends = {"value": 0, "low": -2, "high": 2}
    null = table.assign(
        series="null", **{e: table[c] + ends[e] * table["null_sd"] for e, c in nulls.items()}
    )
    own = table.assign(series="value", low=table["value"], high=table["value"])
    points = pd.concat([_means(own), _means(null)])
    series = {
        "value": Series(Look(SERIES[0], "o", "decoder rows of matched features"), -0.15),
        "null": Series(Look(MUTED, "|", "random pairings, with two standard deviations"), 0.2),
    }
    quantities = {name: text for name, text in SPACE.items() if name in set(table["quantity"])}
    figure = draw_rows(points, series, quantities, "Similarity")
    note = (
        f"Matched are {span(table['n_matched'], ',.0f')} features of a pair: few make numbers high"
        " by chance, as their null says.",
        _over(table.groupby(["row", "quantity"]).size()),
    )
    return Drawing(figure, table.drop(columns="row"), (*note, *odd, *fewer))


def _shown(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    names = list(dict.fromkeys(table["row"]))
    shown = spread(names, _MOST_ROWS)
    if len(shown) == len(names):
        return table, ()
    note = f"Shown are {len(shown)} of {len(names)} rows, spread over all; the table has the rest."
    return table[table["row"].isin(shown)], (note,)


def _directions(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Series]]:
    """Return points of both directions and of all nulls, and how they look."""
    points, series = [_means(_with_ends(table).assign(series=table["sense"]))], {}
    for (sense, (words, variant)), at in zip(SENSE.items(), _VALUES, strict=True):
        if sense in set(table["sense"]):
            series[sense] = Series(Look(SERIES[0], "o", words, variant), at)
    present = [name for name in NULL if table[name].notna().any()]
    for name in present:
        points.append(_of_null(table, name, table[name]))
        series[name] = Series(NULL[name], _CHANCE if name in CHANCE else _UNRELATED)
    return pd.concat(points), series


def _several(
    table: pd.DataFrame, statistics: Sequence[str], labels: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, Series]]:
    """Return points of statistics and the largest null of each, and how they look."""
    own = _with_ends(table).assign(series=table["statistic"])
    largest = table[list(NULL)].mean().dropna().index
    null = table[list(largest)].max(axis=1)
    of_null = _of_null(table, table["statistic"] + " null", null)
    series = {}
    for i, name in enumerate(statistics):
        at = -0.3 + 0.6 * i / max(1, len(statistics) - 1)
        series[name] = Series(Look(SERIES[i], "o", labels[name]), at)
        series[f"{name} null"] = Series(Look(SERIES[i], "|", ""), at)
    return pd.concat([_means(own), of_null]), series


def _with_ends(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows with ``low`` and ``high``: of their intervals, or the value without one."""
    low, high = (table[f"value_{end}"].fillna(table["value"]) for end in ("low", "high"))
    return table.assign(low=low, high=high)


def _of_null(table: pd.DataFrame, series: Any, value: pd.Series) -> pd.DataFrame:
    """Return points of what chance gives: means without strokes."""
    points = table.assign(series=series, value=value, low=value, high=value)
    means = _means(points[value.notna()])
    return means.assign(low=means["value"], high=means["value"])


def _means(table: pd.DataFrame) -> pd.DataFrame:
    return table.groupby(["row", "quantity", "series"], sort=False).agg(_ENDS).reset_index()


def _over(n_pairs: pd.Series) -> str:
    """Return what marks and strokes are, by the number of pairs of each mark."""
    if n_pairs.max() == 1:
        return "Each mark is one pair; strokes are 95 % intervals, where there are any."
    return (
        f"Marks are means over {span(n_pairs, 'd')} pairs; strokes reach from the least to the"
        " largest, with the 95 % intervals of those that have one."
    )


def draw_rows(
    points: pd.DataFrame, series: Mapping[str, Series], quantities: Mapping[str, str], label: str
) -> mpl.figure.Figure:
    """Draw rows of points.

    Parameters
    ----------
    points
        Columns row, quantity (its panel), series, value, low, high.
    series, quantities
        Those that there may be: how points look, and titles of panels.
    label
        The horizontal axis.
    """
    names = list(dict.fromkeys(points["row"]))
    places = [
        Place(("",), name, text, points[points["quantity"] == name])
        for name, text in quantities.items()
    ]
    with use_style():
        grid = panel_grid(places, size=(_WIDTH, _ROW * len(names) + _ROOM))
        size = mpl.rcParams["ytick.labelsize"]
        written = [shortened(name, size, _NAMES) for name in names]
        grid.add_beside(max(inches(name, size) for name in written))
        for (ax,), place in zip(grid.panels, places, strict=True):
            _panel(ax, place.rows, names, series)
        ax = grid.axes[0]
        ax.set_yticks(range(len(names)), written)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlim(min(0.0, points["low"].min()) - 0.03, max(1.0, points["high"].max()) + 0.03)
        grid.label(x=label, y="")
        present = [one for name, one in series.items() if name in set(points["series"])]
        handles = [
            Line2D([], [], label=one.look.label, **one.look.point(_SIZE))
            for one in present
            if one.look.label
        ]
        legend_above(grid.figure, handles)
    return grid.figure


def _panel(
    ax: Axes, points: pd.DataFrame, names: Sequence[str], series: Mapping[str, Series]
) -> None:
    ax.grid(axis="x")
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    for row in range(1, len(names)):
        ax.axhline(row - 0.5, color="#e4e4e4", linewidth=0.5)
    for name, own in points.groupby("series", sort=False):
        look, at = series[name]
        y = own["row"].map(names.index) + at
        ax.hlines(y, own["low"], own["high"], color=look.colour, linewidth=0.8, zorder=2)
        ax.plot(own["value"], y, zorder=3, **look.point(_SIZE))
