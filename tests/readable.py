"""What can be told without eyes of whether a figure can be read: `faults` names what is wrong."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from saeflow.figures.save import save_figure

MOST_EMPTY = 0.25
"""Of the places of a figure that may stay without a panel."""
LEAST_TICKS = 2
TALLEST = 16_000 / 200
"""Inches: WebP, which the report embeds, has no picture of more pixels."""
_TOUCH = 1.0  # pixels


def faults(figure: Figure) -> list[str]:
    """Return what cannot be read in a figure, in words; nothing where all is well."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    found = [*_panels(figure)]
    if figure.get_figheight() > TALLEST:
        found.append(f"{figure.get_figheight():.0f} inches are too tall")
    texts = [(text, box) for text in _texts(figure) if (box := _box(text, renderer)) is not None]
    for text, box in texts:
        if not _inside(box, figure.bbox):
            found.append(f"{text.get_text()!r} leaves the figure")
    found += [
        f"{a.get_text()!r} lies upon {b.get_text()!r}"
        for (a, first), (b, second) in itertools.combinations(texts, 2)
        if _overlap(first, second)
    ]
    for ax in _visible(figure):
        found += _of_panel(ax, renderer)
    return found


def _visible(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_visible() and not _is_bar(ax)]


def _is_bar(ax: Axes) -> bool:
    return hasattr(ax, "_colorbar")


def _panels(figure: Figure) -> Iterator[str]:
    axes = [ax for ax in figure.axes if not _is_bar(ax)]
    empty = sum(not ax.get_visible() for ax in axes) / len(axes)
    if empty > MOST_EMPTY:
        yield f"{empty:.0%} of the places for panels are empty"
    titles = [title for ax in _visible(figure) if (title := ax.get_title(loc="left"))]
    if len(set(titles)) < len(titles):
        yield "panels have the same title"


def _of_panel(ax: Axes, renderer: object) -> Iterator[str]:
    name = ax.get_title(loc="left") or ax.get_xlabel()
    if not _n_marks(ax):
        yield f"there is nothing in {name!r}"
    for axis, shown in ((ax.xaxis, "labelbottom"), (ax.yaxis, "labelleft")):
        low, high = sorted(axis.get_view_interval())
        ticks = [
            tick for tick in axis.get_major_ticks()
            if low <= tick.get_loc() <= high and tick.label1.get_text()
        ]  # fmt: skip
        # of layers and names there may be a single one
        alone = abs(high - low - 1.2) < 0.2 and len(ticks) == 1 and ticks[0].get_loc() == 0
        if axis.get_tick_params()[shown] and len(ticks) < LEAST_TICKS and not alone:
            yield f"{name!r} has {len(ticks)} ticks ({shown})"
    height = ax.get_window_extent(renderer).height
    label = ax.yaxis.label
    if label.get_text() and label.get_window_extent(renderer).height > 1.15 * height:
        yield f"{label.get_text()!r} is longer than its axis"


def _n_marks(ax: Axes) -> int:
    lines = [line for line in ax.lines if line.get_transform() == ax.transData]
    points = sum(np.isfinite(np.asarray(line.get_ydata(), float)).sum() for line in lines)
    points += sum(len(c.get_offsets()) for c in ax.collections if isinstance(c, PathCollection))
    points += sum(len(c.get_segments()) for c in ax.collections if isinstance(c, LineCollection))
    return int(points) + len(ax.patches) + len(ax.images)


def _texts(figure: Figure) -> Iterator[Text]:
    for legend in figure.legends:
        yield from legend.get_texts()
    for ax in figure.axes:
        if not ax.get_visible():
            continue
        yield from (ax.title, ax._left_title, ax._right_title)
        yield from (ax.xaxis.label, ax.yaxis.label)
        for axis, sides in ((ax.xaxis, ("bottom", "top")), (ax.yaxis, ("left", "right"))):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            for tick in axis.get_major_ticks():
                if not low - slack <= tick.get_loc() <= high + slack:
                    continue
                for label, side in zip((tick.label1, tick.label2), sides, strict=True):
                    if axis.get_tick_params().get(f"label{side}"):
                        yield label
        yield from ax.texts
        if ax.get_legend():
            yield from ax.get_legend().get_texts()


def _box(text: Text, renderer: object) -> Bbox | None:
    if not text.get_text().strip() or not text.get_visible():
        return None
    box = Text.get_window_extent(text, renderer)  # of an annotation without its line
    return box if box.width else None


def _inside(box: Bbox, whole: Bbox) -> bool:
    low = box.x0 >= whole.x0 - _TOUCH and box.y0 >= whole.y0 - _TOUCH
    return low and box.x1 <= whole.x1 + _TOUCH and box.y1 <= whole.y1 + _TOUCH


def _overlap(a: Bbox, b: Bbox) -> bool:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return width > _TOUCH and height > _TOUCH


def labels(ax: Axes) -> list[Annotation]:
    """Return the names beside the points of a panel."""
    return [text for text in ax.texts if isinstance(text, Annotation)]


def keep(figure: Figure, *names: str) -> None:
    """Leave a figure, for eyes, in the folder that ``SAEFLOW_FIGURES`` names, if it names one."""
    if "SAEFLOW_FIGURES" in os.environ:
        place = Path(os.environ["SAEFLOW_FIGURES"]).joinpath(*names)
        place.parent.mkdir(parents=True, exist_ok=True)
        save_figure(figure, place)
