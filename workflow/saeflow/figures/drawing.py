"""What a function that draws returns: the figure, what is in it, and how to read it.

Such a function takes a ``table`` with columns model, hook, site, block, sae, seed, method, as far
as it tells them apart. A ``value`` is a column that is drawn, with its interval in ``value_low``
and ``value_high``; ``labels`` says for metrics what their axes are called, ``label`` for what is
none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from saeflow.errors import DataError


class Drawing(NamedTuple):
    """A figure with what a caption cannot know before there are data.

    Attributes
    ----------
    figure : Figure
        As it is saved.
    rows : DataFrame
        The rows of the table that are in it, and no others: what is counted under the figure.
    notes : tuple of str
        Sentences on how to read it that depend on the data: what bars are means of, what is cut
        or left out.
    """

    figure: Figure
    rows: pd.DataFrame
    notes: tuple[str, ...] = ()


def finite(
    table: pd.DataFrame, values: Sequence[str], *, positive: Sequence[str] = ()
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows that can be drawn, and a note on the others.

    Parameters
    ----------
    table
        A row per point.
    values
        The columns that are drawn.
    positive
        Those of them that stand on a logarithmic axis.

    Raises
    ------
    DataError
        If no row can be drawn.
    """
    columns = table[list(values)].apply(pd.to_numeric, errors="coerce").astype(float)
    shown = np.isfinite(columns).all(axis=1) & (columns[list(positive)] > 0).all(axis=1)
    n_left = int((~shown).sum())
    what = "a finite number above zero" if positive else "a finite number"
    verb = "is" if n_left == 1 else "are"
    note = (f"{n_left:,} of {len(table):,} values {verb} left out: not {what}.",)
    if n_left == len(table):
        raise DataError(
            "there is nothing to draw: no row of the table has a number",
            expected=what,
            got=f"{n_left} rows without",
        )
    return table[shown], note if n_left else ()


def seeds_note(
    groups: Iterable[int],
    *,
    mean: str = "Lines go through",
    one: str = "Upright strokes are 95 % intervals.",
    several: str = "upright strokes reach from the lowest to the highest end of their 95 %"
    " intervals.",
) -> str:
    """Return how seeds are shown: ``several`` with means only where there are several of them.

    Parameters
    ----------
    groups
        The number of seeds behind each mean.
    mean
        What is a mean over seeds, such as "Bars are".
    one, several
        The sentence on single points, without and with several seeds to a mean.
    """
    low, high = min(groups, default=1), max(groups, default=1)
    if high <= 1:
        return one
    seeds = f"{high}" if low == high else f"{low} to {high}"
    return f"{mean} means over {seeds} seeds; {several}"
