"""Maps of the similarity of each two SAEs of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from saeflow.errors import DataError
from saeflow.figures.axes import name_axis
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, spread
from saeflow.figures.style import INK, use_style
from saeflow.figures.texts import shortened
from saeflow.hooks import Hook
from saeflow.metrics.similarity import ALIGNED, CORRELATION, COSINE, DECODER
from saeflow.studies.universality import reading
from saeflow.studies.universality.comparisons import NULLS
from saeflow.studies.universality.pairs.tables import FORWARD
from saeflow.studies.universality.rows import LEAST_OF_MAP
from saeflow.tables.runs import natural

MOST = 24
"""SAEs of a map."""
_FILLED = 0.75
"""Share of the cells of a map that are there at least: what is held against one alone has none."""
_MOST_ROWS = 8
_SIZE = (2.2, 1.6)
_NUMBERS, _TICKS = 8, 12  # SAEs up to which cells have numbers, and all have names
_NAMES = 0.8  # inches that names may take
_MAP, _NOTHING, _DARK = "viridis", "#dddddd", 0.6
_PARTS = ("model", "dataset", "packing", "hook", "sae", "seed")
_LABELS = ("own", "other")
_ACROSS = 2  # sets of SAEs
_BAR, _BAR_WIDTH, _CHANCE_ROOM = 0.8, 0.12, 0.3  # inches
_WHAT = {ALIGNED: "aligned decoder rows", COSINE: "decoder rows", CORRELATION: "activations"}
_COLUMNS = {"decoder": DECODER, "activations": (CORRELATION,)}
"""Maps that stand beside each other, and of similarities the one that there is first."""
_CHANCE = {ALIGNED: "null_columns", COSINE: "null_columns", CORRELATION: "null_tokens"}


class _Map(NamedTuple):
    """What a map shows: values (n, n), from the features of a row to those of a column."""

    place: tuple[str, str]
    title: str
    names: list[str]
    values: np.ndarray
    chance: float
    n_saes: int
    rows: pd.DataFrame


def maps(table: pd.DataFrame, *, labels: Mapping[str, str]) -> Drawing:
    """Draw maps of each comparison of several SAEs: of decoder rows, and of activations.

    Parameters
    ----------
    labels
        The metric that is drawn -> its label.

    Raises
    ------
    DataError
        If no comparison has three SAEs each two of which are held against each other.
    """
    ((statistic, label),) = labels.items()
    own = ~table["comparison"].isin(NULLS) & (table["statistic"] == statistic)
    table, odd = finite(table[own], ["value"])
    found = [one for _, rows in table.groupby("comparison", sort=False) for one in _maps(rows)]
    if not found:
        raise DataError(
            "there is nothing to draw: no comparison has a map",
            expected=f"{LEAST_OF_MAP} SAEs each two of which are held against each other",
            got="pairs of others",
        )
    rows = list(dict.fromkeys(one.place[0] for one in found))
    shown = [one for one in found if one.place[0] in set(spread(rows, _MOST_ROWS))]
    with use_style():
        grid = panel_grid(_places(shown), size=_SIZE, sharex=False, sharey=False)
        below = [
            _draw(ax, one, width)
            for (ax,), one, width in zip(grid.panels, shown, grid.widths, strict=True)
        ]
        grid.add_below(max(below) + _CHANCE_ROOM)
        grid.add_beside(_BAR)
        image, long = grid.axes[0].images[0], grid.figure.get_figheight() / _BAR_WIDTH
        grid.figure.colorbar(image, ax=grid.figure.axes, aspect=long, pad=0.02, label=label)
    notes = _notes(len(rows), shown)
    drawn = pd.concat([one.rows for one in shown]).drop(columns=[*_LABELS, "agreed"])
    return Drawing(grid.figure, drawn, (*notes, *odd))


def _places(shown: Sequence[_Map]) -> list[Place]:
    """Put the maps of two sets of SAEs beside each other."""
    sets = list(dict.fromkeys(one.place[0] for one in shown))
    found = []
    for one in shown:
        row, column = divmod(sets.index(one.place[0]), _ACROSS)
        found.append(Place((str(row),), f"{column} {one.place[1]}", one.title, one.rows))
    return found


def _notes(n_rows: int, shown: Sequence[_Map]) -> Iterator[str]:
    n = len({one.place[0] for one in shown})
    if n < n_rows:
        yield f"Shown are maps of {n} of {n_rows} sets of SAEs; the table has all."
    n_pairs = max(one.rows.groupby([*_LABELS, "direction"]).size().max() for one in shown)
    if n_pairs > 1:
        yield f"Cells are means over up to {n_pairs} pairs of seeds."
    if (most := max(one.n_saes for one in shown)) > MOST:
        yield f"Shown are {MOST} of {most} SAEs, spread over all; the table has the rest."


def _maps(rows: pd.DataFrame) -> Iterator[_Map]:
    """Yield the maps of one comparison."""
    both = {part: [rows[f"{side}_{part}"].astype(str) for side in reading.SIDES] for part in _PARTS}
    varied = [part for part, (one, other) in both.items() if (one != other).any()]
    if "seed" in varied and len(varied) > 1:
        return  # a cell would mix pairs of one seed with others
    agreed = [part for part in _PARTS[:-1] if part not in varied]
    names = {
        label: [", ".join(own) for own in zip(*(both[part][i] for part in varied), strict=True)]
        for i, label in enumerate(_LABELS)
    }
    same = [", ".join(own) for own in zip(*(both[part][0] for part in agreed), strict=True)]
    rows = rows.assign(**names, agreed=same)
    several = [part for part in agreed if both[part][0].nunique() > 1]
    for _, own in rows.groupby("agreed", sort=False):
        where = [str(own[f"first_{part}"].iloc[0]) for part in several]
        for column, quantities in _COLUMNS.items():
            for quantity in [q for q in quantities if q in set(own["quantity"])][:1]:
                chosen = own[own["quantity"] == quantity]
                title = ", ".join([str(own["comparison"].iloc[0]), *where])
                yield from _map((title, column), quantity, varied, chosen)


def _map(
    place: tuple[str, str], quantity: str, varied: Sequence[str], rows: pd.DataFrame
) -> Iterator[_Map]:
    """Yield the map of a set of SAEs, if most of its cells have a value."""
    every = _in_order(rows, varied)
    names = spread(every, MOST)
    forward = rows["direction"] == FORWARD
    own, other = _LABELS
    turned = rows.assign(
        **{own: rows[own].where(forward, rows[other]), other: rows[other].where(forward, rows[own])}
    )
    cells = turned.groupby([own, other])["value"].mean().unstack()
    values = cells.reindex(index=names, columns=names).to_numpy(float, copy=True)
    np.fill_diagonal(values, np.nan)
    n = len(names)
    if n >= LEAST_OF_MAP and np.isfinite(values).sum() >= _FILLED * n * (n - 1):
        kept = rows[rows[own].isin(names) & rows[other].isin(names)]
        title = f"{place[0]}: {_WHAT[quantity]}"
        yield _Map(place, title, names, values, kept[_CHANCE[quantity]].mean(), len(every), kept)


def _in_order(rows: pd.DataFrame, varied: Sequence[str]) -> list[str]:
    """Return the names of SAEs in the order of what they differ in: hooks as the model has them."""
    found = {}
    for side, label in zip(reading.SIDES, _LABELS, strict=True):
        parts = rows[[label, *(f"{side}_{part}" for part in varied)]].drop_duplicates()
        found |= {name: [_order(*one) for one in zip(varied, own, strict=True)]
                  for name, *own in parts.itertuples(index=False)}  # fmt: skip
    return sorted(found, key=found.__getitem__)


def _order(part: str, value: Any) -> Any:
    if part == "hook":
        return Hook.parse(value).order
    if part == "model":  # the last step is that of the name alone
        name, _, step = str(value).partition("@")
        return natural(name), int(step) if step else np.inf
    return natural(str(value))


def _draw(ax: Axes, one: _Map, width: float) -> float:
    """Draw a map, and return by how much its names are taller than lying ones, in inches."""
    ax.set_facecolor(_NOTHING)
    ax.grid(visible=False)
    ax.imshow(one.values, cmap=_MAP, norm=Normalize(0, 1), aspect="auto")
    n = len(one.names)
    step = -(-n // _TICKS)
    size = 6.0
    short = [
        shortened(name, size, _NAMES) if i % step == 0 else "" for i, name in enumerate(one.names)
    ]
    taller = name_axis(ax, short, width)
    ax.set_xlim(-0.5, n - 0.5)
    ax.set_yticks(range(0, n, step), short[::step], fontsize=size)
    ax.tick_params(length=0, labelbottom=True, labelleft=True)
    ax.set_xlabel(f"chance: {one.chance:.2f}")
    if n <= _NUMBERS:
        for at in np.argwhere(np.isfinite(one.values)):
            value = one.values[tuple(at)]
            colour = "white" if value < _DARK else INK
            text = f"{value:.2f}".lstrip("0")
            ax.text(*at[::-1], text, ha="center", va="center", fontsize=5.5, color=colour)
    return taller
