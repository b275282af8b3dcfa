"""Fidelity against sparsity: an SAE a point, in the colour of its method or architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from saeflow.figures.axes import (
    Span,
    arms,
    cut_note,
    few_ticks,
    l0_axis,
    limit,
    mark_cut,
    span_of,
)
from saeflow.figures.bars import NO_LABELS
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.labels import Label, drawn, place_labels
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_hook, shown_hooks
from saeflow.figures.style import REFERENCE, Look, architecture_looks, method_looks, use_style
from saeflow.tables.runs import ORIGINAL

_ABOVE = 0.2  # of the height, for the names of the recipes


def frontier(table: pd.DataFrame, *, value: str, labels: Mapping[str, str]) -> Drawing:
    """Draw ``value`` against L0: a panel per hook, an SAE tied to what it became.

    A grey line joins an SAE with those fine-tuned from it. Intervals are drawn for both axes;
    where none is seen it is smaller than the marker. Originals are rings in front, since what is
    fine-tuned with a frozen encoder may lie under them.
    """
    table, odd = finite(table, ["l0", value], positive=["l0"])
    table, fewer = shown_hooks(table)
    with use_style():
        looks, places, n_cut = method_looks(table["method"]), by_hook(table), 0
        grid = panel_grid(places, size=(2.5, 2.4), sharey=False)
        for (ax,), place in zip(grid.panels, places, strict=True):
            span = span_of(place.rows, value, base=0.0)
            n_cut += _points(ax, place.rows, value, looks, span)
            l0_axis(ax, table["l0"])
            limit(ax, span, top=_ABOVE)
            few_ticks(ax)
        grid.label(x=labels["l0"], y=labels[value])
        handles = [
            Line2D([], [], label=look.label, **_marker(name, look)) for name, look in looks.items()
        ]
        legend_above(grid.figure, handles)
        renderer = drawn(grid.figure)
        for (ax,), place in zip(grid.panels, places, strict=True):
            place_labels(ax, _names(place.rows, value), renderer)
    return Drawing(grid.figure, table, (*odd, *fewer, *cut_note(n_cut)))


def _marker(method: str, look: Look) -> dict[str, Any]:
    return look._replace(variant=1).point(6.5) if method == ORIGINAL else look.point()


def _points(
    ax: Axes, chosen: pd.DataFrame, value: str, looks: Mapping[str, Look], span: Span
) -> int:
    for _, family in chosen.groupby(["sae", "seed"], sort=False):
        parent = family[family["method"] == ORIGINAL]
        for _, tuned in family[family["method"] != ORIGINAL].iterrows():
            ends = [[*parent[name], tuned[name]] for name in ("l0", value)]
            ax.plot(*ends, color="#c8c8c8", linewidth=0.8, zorder=1)
    n_cut = 0
    for method, look in looks.items():
        rows = chosen[chosen["method"] == method]
        if rows.empty:
            continue
        ax.errorbar(
            rows["l0"], rows[value], xerr=arms(rows, "l0"), yerr=arms(rows, value),
            elinewidth=0.8, label=look.label, zorder=4 if method == ORIGINAL else 3,
            **_marker(method, look),
        )  # fmt: skip
        n_cut += mark_cut(ax, rows["l0"], rows, value, span)
    return n_cut


def _names(chosen: pd.DataFrame, value: str) -> list[Label]:
    """Name each recipe once, at the point that reaches highest."""
    found = []
    for recipe, rows in chosen.groupby("sae", sort=False):
        below, above = arms(rows, value)
        left, right = arms(rows, "l0")
        x, y = rows["l0"].to_numpy(float), rows[value].to_numpy(float)
        boxes = list(zip(x - left, y - below, x + right, y + above, strict=True))
        found.append(Label(str(recipe), list(zip(x, y, strict=True)), int(y.argmax()), boxes))
    return found


def by_architecture(
    table: pd.DataFrame,
    *,
    values: Sequence[str],
    line: tuple[float, str],
    labels: Mapping[str, str],
    names: Mapping[str, str] = NO_LABELS,
) -> Drawing:
    """Draw two values against L0, one above the other, in two panels per hook.

    A thin line joins the SAEs of one architecture and seed in the order of their L0.

    Parameters
    ----------
    table, labels
        As of `saeflow.figures.drawing`, with columns architecture and l0.
    values
        Two metrics' names, that of the upper panels first.
    line
        A horizontal reference and its name in the legend.
    names
        Shorter labels, for values whose own does not fit beside a panel.
    """
    table, odd = finite(table, ["l0", *values], positive=["l0"])
    table, fewer = shown_hooks(table)
    with use_style():
        looks, places, n_cut = architecture_looks(table["architecture"]), by_hook(table), 0
        grid = panel_grid(places, size=(1.75, 1.5), stacked=2)
        for level, value in enumerate(values):
            span = span_of(table, value, base=line[0])
            for panel, place in zip(grid.panels, places, strict=True):
                ax = panel[level]
                ax.axhline(line[0], **REFERENCE)
                n_cut += _joined(ax, place.rows, value, looks, span)
                l0_axis(ax, table["l0"])
                limit(ax, span)
                few_ticks(ax)
        grid.label(x=labels["l0"], y=[{**labels, **names}[value] for value in values])
        handles = [Line2D([], [], label=look.label, **_hollow(look)) for look in looks.values()]
        legend_above(grid.figure, [*handles, Line2D([], [], label=line[1], **REFERENCE)])
    return Drawing(grid.figure, table, (*odd, *fewer, *cut_note(n_cut)))


def _joined(
    ax: Axes, chosen: pd.DataFrame, value: str, looks: Mapping[str, Look], span: Span
) -> int:
    n_cut = 0
    for (architecture, _), rows in chosen.groupby(["architecture", "seed"], sort=False):
        look, rows = looks[architecture], rows.sort_values("l0")
        ax.plot(rows["l0"], rows[value], color=look.colour, linewidth=0.6, zorder=1.5)
        ax.errorbar(
            rows["l0"], rows[value], xerr=arms(rows, "l0"), yerr=arms(rows, value),
            elinewidth=0.8, zorder=3, **_hollow(look),
        )  # fmt: skip
        n_cut += mark_cut(ax, rows["l0"], rows, value, span)
    return n_cut


def _hollow(look: Look) -> dict[str, Any]:
    """Return how a point is drawn: hollow, for those of two architectures may coincide."""
    return look._replace(variant=1).point()
