"""A name belongs to a point by where it stands, or by a line: over clouds of every kind."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from saeflow.figures.labels import Label, drawn, place_labels
from saeflow.figures.style import use_style

CLOUDS = pytest.mark.parametrize(
    "seeds", [range(25), pytest.param(range(25, 500), marks=pytest.mark.slow)], ids=["few", "many"]
)


def cloud(seed):
    """Return points of several names; often two of different names nearly coincide."""
    random = np.random.default_rng(seed)
    n_names, n_points = random.integers(1, 13), random.integers(1, 6)
    points = random.normal(size=(n_names, 1, 2)) + 0.05 * random.normal(size=(n_names, n_points, 2))
    if seed % 2:  # a few pixels apart, or exactly upon one another
        twins = random.integers(n_names, size=2)
        points[twins[1]] = points[twins[0]] + random.choice([0, 1e-9, 0.01, 0.03]) * random.normal()
    if seed % 5 == 0:
        points[..., 1] = points[..., 1].round(1)  # on one line, as SAEs of one L0
    return points


def placed(seed):
    random = np.random.default_rng(seed)
    points = cloud(seed)
    width, height = random.uniform(1.5, 4, size=2)
    with use_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        ax = figure.subplots()
        ax.plot(*points.reshape(-1, 2).T, "o")
        labels = [
            Label(f"recipe-{i}", own.tolist(), 0, [(*p, *p) for p in own])
            for i, own in enumerate(points)
        ]
        notes = place_labels(ax, labels, drawn(figure))
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = np.array([extents(note, renderer) for note in notes])
    return ax, points, notes, boxes


def extents(note, renderer):
    """Return the box of a text without its line, in pixels."""
    note.update_positions(renderer)
    return Text.get_window_extent(note, renderer).extents


def distances(box, points):
    """Return how far points (n, 2) are from a box, 0 within it."""
    nearest = np.clip(points, box[:2], box[2:])
    return np.hypot(*(points - nearest).T)


@CLOUDS
def test_a_name_is_nearest_to_a_point_of_its_own_or_a_line_leads_there_and_names_have_room(seeds):
    n_led = 0
    for seed in seeds:
        ax, points, notes, boxes = placed(seed)
        at = [ax.transData.transform(own) for own in points]
        for i, (note, box) in enumerate(zip(notes, boxes, strict=True)):
            assert note.get_text() == f"recipe-{i}"
            if note.arrow_patch is not None:
                assert tuple(note.xy) == pytest.approx(tuple(points[i][0]))  # where the line ends
                n_led += 1
                continue
            others = [own for j, own in enumerate(at) if j != i]
            if others:
                assert distances(box, at[i]).min() < distances(box, np.concatenate(others)).min()
        _have_room(ax, boxes)
    assert n_led


def _have_room(ax, boxes):
    """Check that names stay in their panel, and lie apart where they have room."""
    x0, y0, x1, y1 = ax.get_window_extent().extents
    assert (boxes[:, :2] >= [x0 - 1, y0 - 1]).all() and (boxes[:, 2:] <= [x1 + 1, y1 + 1]).all()
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).sum()
    if area > 0.25 * (x1 - x0) * (y1 - y0):
        return  # more names than a panel of this size can hold
    for i, first in enumerate(boxes):
        for second in boxes[i + 1 :]:
            shared = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
            assert (shared <= 1).any()


def test_two_that_nearly_coincide_are_told_apart_by_lines():
    """TopK and BatchTopK at the same L0, with errors of .1334 and .1397."""
    with use_style():
        figure = Figure(figsize=(2.5, 2.4), layout="constrained")
        ax = figure.subplots()
        ax.set(xlim=(5, 60), ylim=(0, 0.6))
        points = {"topk-32": (32.0, 0.1334), "batchtopk-32": (32.0, 0.1397)}
        labels = [Label(name, [p], 0, [(*p, *p)]) for name, p in points.items()]
        notes = place_labels(ax, labels, drawn(figure))
    assert all(note.arrow_patch is not None for note in notes)
    assert [tuple(note.xy) for note in notes] == list(points.values())


def test_a_name_alone_stands_beside_its_point_without_a_line():
    with use_style():
        figure = Figure(figsize=(3, 3))
        ax = figure.subplots()
        ax.set(xlim=(0, 1), ylim=(0, 1))
        (note,) = place_labels(ax, [Label("a", [(0.5, 0.5)], 0, [(0.5,) * 4])], drawn(figure))
    assert note.arrow_patch is None and np.hypot(*note.get_position()) < 20  # points


def test_a_name_that_is_wider_than_its_panel_is_shortened():
    with use_style():
        figure = Figure(figsize=(1.5, 1.5), layout="constrained")
        ax = figure.subplots()
        ax.plot([0.5], [0.5], "o")
        text = "a-recipe-with-a-name-that-nobody-wants-to-type-twice"
        (note,) = place_labels(ax, [Label(text, [(0.5, 0.5)], 0, [(0.5,) * 4])], drawn(figure))
        x0, _, x1, _ = extents(note, FigureCanvasAgg(figure).get_renderer())
    assert x1 - x0 <= ax.get_window_extent().width
    assert note.get_text().startswith("a-recipe") and note.get_text().endswith("twice")
