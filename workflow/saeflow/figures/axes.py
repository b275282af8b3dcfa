"""Axes of panels: layers and names along them, ticks that fit, and ends that data decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from saeflow.figures.style import INK
from saeflow.figures.texts import inches, shortened

_IMPRECISE = 5.0  # times the width of intervals that a good part of the values have
_BEYOND = 0.5  # of what precise values span: so far an imprecise one may move an axis
MARGIN = 0.05
"""Of what an axis shows, at each of its ends."""
_CUT = {"color": INK, "markersize": 3.0, "linestyle": "", "clip_on": False, "zorder": 5}
_L0_MARGIN = 1.7
_UPRIGHT = 1.2  # inches that an upright name may have
_FEW = 4  # ticks on a logarithmic axis below which it gets those between


class Span(NamedTuple):
    """The ends of an axis, and what of the data lies beyond them.

    Attributes
    ----------
    low, high : float
        In data units, without margins.
    """

    low: float
    high: float

    def over(self, other: Span) -> Span:
        """Return the ends of an axis that shows both."""
        return Span(min(self.low, other.low), max(self.high, other.high))


def arms(rows: pd.DataFrame, value: str) -> np.ndarray:
    """Return the lengths of error bars, (2, n); 0 where there is no interval."""
    below, above = rows[value] - rows[f"{value}_low"], rows[f"{value}_high"] - rows[value]
    return np.nan_to_num(np.stack([below, above]).astype(float)).clip(min=0)


def strokes(
    ax: Axes, rows: pd.DataFrame, x: str, value: str, colour: str, *, width: float = 0.6
) -> None:
    """Draw intervals as upright strokes, at each x from the lowest to the highest end there."""
    below, above = arms(rows, value)
    at = rows.assign(low=rows[value] - below, high=rows[value] + above).groupby(x)
    ends = at["low"].min(), at["high"].max()
    ax.vlines(ends[0].index, *ends, color=colour, linewidth=width, zorder=2)


def span_of(
    rows: pd.DataFrame, value: str, *, base: float | None = None, log: bool = False
) -> Span:
    """Return the ends of an axis that one imprecise value does not stretch.

    Values whose interval is five times as wide as that of the most precise quarter, and wider than
    what those span, may move an end by half of what all others span, and are cut there; all others
    are seen whole. One whose interval lies wholly beyond what precise ones span is told from these
    by its data, and is seen too.

    Parameters
    ----------
    rows
        Columns ``value`` and, where there are intervals, ``value_low`` and ``value_high``.
    value
        The column.
    base
        A value that is to be seen too.
    log
        Whether the axis is logarithmic.
    """
    middle = rows[value].to_numpy(float)
    low, high = middle - (both := arms(rows, value))[0], middle + both[1]
    if log:
        low = np.where(low > 0, low, middle)
        middle, low, high = np.log(middle), np.log(low), np.log(high)
    width = high - low
    usual = np.quantile(width, 0.25, method="lower")
    precise = width <= _IMPRECISE * usual if usual > 0 else width <= _IMPRECISE * _median(width)
    bases = [] if base is None else [float(base)]
    # One whose interval is narrower than what the others span presses nothing flat.
    spanned = max([high[precise].max(), *bases]) - min([low[precise].min(), *bases])
    precise |= width <= spanned
    precise |= (low > high[precise].max()) | (high < low[precise].min())
    bottom, top = min([low[precise].min(), *bases]), max([high[precise].max(), *bases])
    room = _BEYOND * (top - bottom) or np.inf
    ends = max(low.min(), bottom - room), min(high.max(), top + room)
    bottom, top = min(bottom, ends[0]), max(top, ends[1])
    return Span(*np.exp((bottom, top))) if log else Span(float(bottom), float(top))


def _median(width: np.ndarray) -> float:
    """Return the median of the intervals that there are."""
    return float(np.median(width[width > 0])) if (width > 0).any() else 0.0


def limit(ax: Axes, span: Span, *, top: float = MARGIN) -> None:
    """Give the vertical axis these ends, with margins; ``top`` is that above, as a share."""
    low, high = span
    if ax.get_yscale() == "log":
        ratio = high / low if high > low else 2.0
        ax.set_ylim(low / ratio**MARGIN, high * ratio**top)
        return
    room = high - low or abs(high) or 1.0
    ax.set_ylim(low - MARGIN * room, high + top * room)


def mark_cut(ax: Axes, x: Sequence[float], rows: pd.DataFrame, value: str, span: Span) -> int:
    """Put triangles at the edges where values or intervals go beyond, and return how many do."""
    middle = rows[value].to_numpy(float)
    below, above = arms(rows, value)
    x = np.asarray(x, float)
    slack = 1e-9 * abs(span.high - span.low)
    n_cut = 0
    for edge, marker, beyond in (
        (0.0, "v", middle - below < span.low - slack),
        (1.0, "^", middle + above > span.high + slack),
    ):
        if beyond.any():
            places = ax.get_xaxis_transform()
            ax.plot(x[beyond], np.full(beyond.sum(), edge), marker, transform=places, **_CUT)
        n_cut += int(beyond.sum())
    return n_cut


def cut_note(n_cut: int) -> tuple[str, ...]:
    """Return what triangles at the edges say, where there are any."""
    if not n_cut:
        return ()
    return (
        f"Triangles at an edge ({n_cut:,}): there an interval, or the value, goes on beyond the"
        " axis, which ends where it would press all others flat; the table has the numbers.",
    )


def layer_axis(ax: Axes, blocks: Sequence[int], width: float) -> dict[int, int]:
    """Put blocks on the x axis of a panel ``width`` inches wide; return the place of each."""
    size = mpl.rcParams["xtick.labelsize"]
    room = width / max(len(blocks), 1)
    step = max(1, int(np.ceil(1.4 * max(inches(str(b), size) for b in blocks) / room)))
    ax.set_xticks(range(0, len(blocks), step), [str(block) for block in blocks[::step]])
    ax.set_xlim(-0.6, len(blocks) - 0.4)
    return {block: position for position, block in enumerate(blocks)}


def name_axis(ax: Axes, names: Sequence[str], width: float) -> float:
    """Put names on the x axis of a panel ``width`` inches wide, upright where they do not fit.

    Returns
    -------
    float
        Inches by which upright names are taller than lying ones.
    """
    size = mpl.rcParams["xtick.labelsize"]
    longest = max(inches(line, size) for name in names for line in name.split("\n"))
    ax.set_xlim(-0.6, len(names) - 0.4)
    if 1.1 * longest < width / len(names):
        ax.set_xticks(range(len(names)), names)
        return 0.0
    upright = [shortened(name.replace("\n", ", "), size, _UPRIGHT) for name in names]
    ax.set_xticks(range(len(names)), upright, rotation=90)
    return max(inches(name, size) for name in upright) - 0.1


def l0_axis(ax: Axes, values: pd.Series) -> None:
    """Make the horizontal axis a logarithmic one of L0, with room beside these values."""
    ax.set_xscale("log")
    ax.set_xlim(values.min() / _L0_MARGIN, values.max() * _L0_MARGIN)
    log_ticks(ax.xaxis)


def log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis that has its limits: few numbers, and never a single one."""
    axis.set_major_locator(FixedLocator(log_numbers(*sorted(axis.get_view_interval()))))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def log_numbers(low: float, high: float) -> list[float]:
    """Return three to eight round numbers between two that are positive."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        values = np.outer(decades, steps).ravel()
        values = values[(values >= low) & (values <= high)]
        if len(values) >= _FEW:
            return list(values[:: -(-len(values) // (2 * _FEW))])
    # within a small part of a decade a logarithmic axis is nearly a linear one
    linear = MaxNLocator(_FEW, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return list(max(values, linear[(linear >= low) & (linear <= high)], key=len))


def few_ticks(ax: Axes) -> None:
    """Keep ticks from crowding a small panel."""
    ax.yaxis.set_major_locator(MaxNLocator(5))


def count_ticks(ax: Axes) -> None:
    """Label the horizontal axis with few whole numbers, shortly written."""
    ax.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def short(value: float) -> str:
    """Return a number as one writes it beside an axis: 20k, 1M, 0.05."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
