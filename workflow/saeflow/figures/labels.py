"""Text beside points, placed so that it covers neither a point nor another text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from saeflow.figures.style import MUTED

_GAP_POINTS = 4.5
_MARKER_POINTS = 2.8
_SIDES = (
    (0, 1, "center", "bottom"),
    (1, 0, "left", "center"),
    (-1, 0, "right", "center"),
    (0, -1, "center", "top"),
    (1, 1, "left", "bottom"),
    (-1, 1, "right", "bottom"),
    (1, -1, "left", "top"),
    (-1, -1, "right", "top"),
)
# (dx, dy) in points with the alignment, the nearest first. Far ones are not tried: a name that
# stands nearer to another point than to its own misleads more than one that covers something.
_PLACES = [
    (x * r * _GAP_POINTS, y * r * _GAP_POINTS, horizontal, vertical)
    for r in (1, 1.6, 2.2)
    for x, y, horizontal, vertical in _SIDES
]
# A place further down the list is worth taking to uncover so many square pixels.
_PIXELS_PER_RANK = 0.5
_ROUNDS = 3
# The share of a text that lies left of, or below, the point where it is aligned.
_BEFORE = {"left": 0, "bottom": 0, "center": 0.5, "right": 1, "top": 1}


def drawn(figure: Figure) -> Any:
    """Lay a figure out and return the renderer that `place_labels` wants."""
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    return canvas.get_renderer()


def place_labels(
    ax: Axes,
    labels: Sequence[tuple[str, float, float]],
    obstacles: Sequence[tuple[float, float, float, float]],
    renderer: Any,
) -> list[Annotation]:
    """Write a text beside each of some points; call it when the axes have their final limits.

    Parameters
    ----------
    labels
        Text, x, y in data units.
    obstacles
        x0, y0, x1, y1 in data units: points and bars of error that no text may cover.
    renderer
        From `drawn`.

    Returns
    -------
    list of Annotation
        In the order of ``labels``. A text that fits nowhere is put where it covers least.
    """
    radius = _MARKER_POINTS * ax.figure.dpi / 72
    fixed = [_box(ax, obstacle, radius) for obstacle in obstacles]
    notes = [_note(ax, *label) for label in labels]
    possible = []
    for note in notes:
        size = note.get_window_extent(renderer).size
        anchor = ax.transData.transform(note.xy)
        possible.append([_placed(anchor, size, place, ax.figure.dpi) for place in _PLACES])
    chosen = _choose(possible, fixed, ax.get_window_extent(renderer))
    for note, index in zip(notes, chosen, strict=True):
        x, y, horizontal, vertical = _PLACES[index]
        note.set_position((x, y))
        note.set_horizontalalignment(horizontal)
        note.set_verticalalignment(vertical)
    return notes


def _note(ax: Axes, text: str, x: float, y: float) -> Annotation:
    note = ax.annotate(
        text,
        (x, y),
        xytext=(0, 0),
        textcoords="offset points",
        fontsize=6.5,
        color=MUTED,
        path_effects=[withStroke(linewidth=1.5, foreground="white")],
        zorder=2.5,
    )
    note.set_in_layout(False)  # or the panel would shrink to make room for it
    return note


def _choose(possible: list[list[Bbox]], fixed: list[Bbox], panel: Bbox) -> list[int]:
    """Return the place of each text, moving one after the other while the others stay."""
    alone = [
        [_cost(box, fixed, panel) + _PIXELS_PER_RANK * rank for rank, box in enumerate(boxes)]
        for boxes in possible
    ]
    chosen = [0] * len(possible)
    for _ in range(_ROUNDS):
        for note, boxes in enumerate(possible):
            others = [possible[i][chosen[i]] for i in range(len(possible)) if i != note]
            costs = [
                cost + sum(_overlap(box, other) for other in others)
                for cost, box in zip(alone[note], boxes, strict=True)
            ]
            chosen[note] = int(np.argmin(costs))
    return chosen


def _placed(
    anchor: np.ndarray, size: np.ndarray, place: tuple[float, float, str, str], dpi: float
) -> Bbox:
    """Return where a text of ``size`` (2,) pixels lies when it is put at ``place``."""
    share = np.array([_BEFORE[place[2]], _BEFORE[place[3]]])
    corner = anchor + np.array(place[:2]) * dpi / 72 - share * size
    return Bbox([corner, corner + size])


def _box(ax: Axes, obstacle: tuple[float, float, float, float], radius: float) -> Bbox:
    (x0, y0), (x1, y1) = ax.transData.transform(np.reshape(obstacle, (2, 2)))
    return Bbox.from_extents(x0 - radius, y0 - radius, x1 + radius, y1 + radius)


def _cost(box: Bbox, taken: Sequence[Bbox], panel: Bbox) -> float:
    """Return the area in pixels that a text covers, or that lies outside of the panel."""
    covered = sum(_overlap(box, other) for other in taken)
    return covered + box.width * box.height - _overlap(box, panel)


def _overlap(first: Bbox, second: Bbox) -> float:
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    return max(0.0, width) * max(0.0, height)
