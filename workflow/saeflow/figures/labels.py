"""Texts beside points, of which one sees to which point each belongs.

A text stands nearer to a point of its own than to any point of another, or a line leads from it
to its point: `place_labels` decides where, and what it returns cannot be otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation

from saeflow.figures.style import MUTED
from saeflow.figures.texts import fit

_SIZE = 6.5  # points
_MARKER = 3.2  # points, half a marker
_GAP = 4.5  # points between a point and its text
_NEARER = 1.25  # times: a point of another has to be farther away by so much
_FAR = (6, 24)  # places across and up a panel from which a line may lead
_ROUNDS = 4
# Costs, in square pixels of what is covered.
_OUTSIDE, _TEXTS, _CROSSED, _LINE, _PER_PIXEL, _PER_RANK = 50.0, 20.0, 60.0, 40.0, 0.6, 0.5

Box = tuple[float, float, float, float]


class Label(NamedTuple):
    """A text and what it is about.

    Attributes
    ----------
    text : str
        What is written.
    points : sequence of (float, float)
        Those that it names, in data units.
    at : int
        Which of them a line leads to.
    taken : sequence of (x0, y0, x1, y1)
        Points with their bars of error, which no text should cover; in data units.
    """

    text: str
    points: Sequence[tuple[float, float]]
    at: int
    taken: Sequence[Box]


class _Places(NamedTuple):
    """Where a text may stand: boxes (n, 4) and what each costs alone (n,), in pixels."""

    boxes: np.ndarray
    led: np.ndarray
    costs: np.ndarray
    point: np.ndarray


def drawn(figure: Figure) -> Any:
    """Lay a figure out and return the renderer that `place_labels` wants."""
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    return canvas.get_renderer()


def place_labels(ax: Axes, labels: Sequence[Label], renderer: Any) -> list[Annotation]:
    """Write texts into a panel; call it when the axes have their final limits.

    Parameters
    ----------
    ax
        The panel.
    labels
        What to write; each names points of its own.
    renderer
        From `drawn`.

    Returns
    -------
    list of Annotation
        In the order of ``labels``; one with an ``arrow_patch`` has a line to its point.
    """
    if not labels:
        return []
    panel = np.array(ax.get_window_extent(renderer).extents)
    scale = ax.figure.dpi / 72
    own = [ax.transData.transform(np.array(label.points, float)) for label in labels]
    taken = _boxes(ax, [box for label in labels for box in label.taken], _MARKER * scale)
    possible, shown = [], []
    for number, label in enumerate(labels):
        text, size = _measured(ax, label.text, panel, renderer)
        others = [points for i, points in enumerate(own) if i != number]
        around = np.concatenate(others) if others else np.empty((0, 2))
        shown.append(text)
        possible.append(_places(own[number], label.at, around, size, taken, panel, scale))
    notes = []
    for text, label, places, index in zip(shown, labels, possible, _choose(possible), strict=True):
        corner, led = places.boxes[index][:2], bool(places.led[index])
        notes.append(_note(ax, text, label.points[label.at], (corner - places.point) / scale, led))
    return notes


def _measured(ax: Axes, text: str, panel: np.ndarray, renderer: Any) -> tuple[Any, np.ndarray]:
    """Return a text that is no wider than the panel, its size in points, and that in pixels."""
    sample = ax.text(0, 0, text, fontsize=_SIZE)
    fit(sample, 0.95 * (panel[2] - panel[0]) / ax.figure.dpi)
    size = np.array(sample.get_window_extent(renderer).size)
    found = sample.get_text(), sample.get_fontsize()
    sample.remove()
    return found, size


def _note(
    ax: Axes, text: tuple[str, float], point: Any, offset: np.ndarray, led: bool
) -> Annotation:
    line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0}
    note = ax.annotate(
        text[0], point, xytext=tuple(offset), textcoords="offset points", fontsize=text[1],
        color=MUTED, path_effects=[withStroke(linewidth=1.5, foreground="white")], zorder=2.5,
        horizontalalignment="left", verticalalignment="bottom",
        arrowprops=line if led else None,
    )  # fmt: skip
    note.set_in_layout(False)  # or the panel would shrink to make room for it
    return note


def _places(
    own: np.ndarray,
    at: int,
    others: np.ndarray,
    size: np.ndarray,
    taken: np.ndarray,
    panel: np.ndarray,
    scale: float,
) -> _Places:
    """Return where a text of ``size`` pixels may stand; first the places beside its point."""
    point = own[at]
    near = [
        point + [x * r * _GAP * scale, y * r * _GAP * scale] - size * [(1 - x) / 2, (1 - y) / 2]
        for r in (1, 1.6, 2.2)
        for x, y in ((0, 1), (1, 0), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
    ]
    room = np.maximum(panel[2:] - panel[:2] - size, 0)
    far = [panel[:2] + room * [x, y] for y in _steps(_FAR[1]) for x in _steps(_FAR[0])]
    corners = np.array(near + far)
    boxes = np.hstack([corners, corners + size])
    led = np.arange(len(boxes)) >= len(near)
    led |= _NEARER * _distance(boxes, own) + 1 > _distance(boxes, others)
    length = _distance(boxes, own[at : at + 1])
    costs = _overlap(boxes, taken).sum(axis=1) + _PER_RANK * np.minimum(np.arange(len(boxes)), 24)
    costs += _OUTSIDE * (np.prod(size) - _overlap(boxes, panel[None])[:, 0])
    passed = np.concatenate([others, own])
    away = np.linalg.norm(passed - point, axis=1) > 2 * _MARKER * scale
    marks = np.hstack([passed[away] - _MARKER * scale, passed[away] + _MARKER * scale])
    costs += led * (_LINE + _PER_PIXEL * length + _CROSSED * _crosses(boxes, point, marks).sum(1))
    return _Places(boxes, led, costs, point)


def _steps(n: int) -> np.ndarray:
    return np.linspace(0.01, 0.99, n)


def _choose(possible: Sequence[_Places]) -> list[int]:
    """Return the place of each text, moving one after the other while the others stay."""
    chosen = [int(np.argmin(places.costs)) for places in possible]
    for _ in range(_ROUNDS):
        before = list(chosen)
        for i, places in enumerate(possible):
            costs = places.costs.copy()
            for j, other in enumerate(possible):
                if j == i:
                    continue
                box, led = other.boxes[chosen[j]][None], bool(other.led[chosen[j]])
                costs += _TEXTS * _overlap(places.boxes, box)[:, 0]
                costs += _CROSSED * places.led * _crosses(places.boxes, places.point, box)[:, 0]
                if led:
                    costs += _CROSSED * _crosses(box, other.point, places.boxes)[0]
            chosen[i] = int(np.argmin(costs))
        if chosen == before:
            break
    return chosen


def _boxes(ax: Axes, taken: Sequence[Box], radius: float) -> np.ndarray:
    ends = ax.transData.transform(np.reshape(taken, (-1, 2))).reshape(-1, 4)
    return ends + radius * np.array([-1, -1, 1, 1])


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the areas that boxes (n, 4) and (m, 4) share, (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.prod(np.clip(high - low, 0, None), axis=2)


def _distance(boxes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return how far the nearest of points (m, 2) is from boxes (n, 4), (n,); inf without any."""
    if not len(points):
        return np.full(len(boxes), np.inf)
    beside = np.maximum(boxes[:, None, :2] - points[None], points[None] - boxes[:, None, 2:])
    return np.linalg.norm(np.clip(beside, 0, None), axis=2).min(axis=1)


def _crosses(boxes: np.ndarray, point: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Return whether lines from the middle of boxes (n, 4) to a point meet marks (m, 4), (n, m)."""
    start = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
    way = point - start
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(marks[None, :, :2] - start) / way, (marks[None, :, 2:] - start) / way])
    enter = np.nan_to_num(ends.min(axis=0), nan=-np.inf).max(axis=2)
    leave = np.nan_to_num(ends.max(axis=0), nan=np.inf).min(axis=2)
    return (enter < leave) & (enter < 1) & (leave > 0)
