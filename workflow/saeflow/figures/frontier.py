"""Fidelity against sparsity: an SAE a point, in the colour of its method or architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.labels import drawn, place_labels
from saeflow.figures.panels import (
    NO_LABELS,
    ORIGINAL,
    arms,
    by_place,
    few_ticks,
    l0_axis,
    label_outer,
    legend_above,
    method_legend,
    pair_grid,
    panel_grid,
)
from saeflow.figures.style import REFERENCE, Look, architecture_looks, method_looks, use_style


def frontier(table: pd.DataFrame, *, value: str, labels: Mapping[str, str]) -> Figure:
    """Draw ``value`` against L0: a panel per hook, an SAE tied to what it became.

    Parameters
    ----------
    table
        Columns model, hook, sae, seed, method, and l0 and ``value`` with their intervals.
    value
        A metric's name.
    labels
        Axis labels of it and of l0.

    Notes
    -----
    A grey line joins an SAE with those fine-tuned from it. Intervals are drawn for both axes;
    where none is seen it is smaller than the marker.
    """
    with use_style():
        looks = method_looks(table["method"])
        titles, parts = by_place(table, table["hook"])
        figure, panels = panel_grid(titles, panel_size=(2.5, 2.4), sharey=False)
        for key, ax in panels.items():
            chosen = parts[key]
            _points(ax, chosen, value, looks)
            _axes(ax, table, chosen, value)
        label_outer(panels.values(), x=labels["l0"], y=labels[value])
        method_legend(figure, looks)
        renderer = drawn(figure)
        for key, ax in panels.items():
            chosen = parts[key]
            _names(ax, chosen, value, renderer)
    return figure


def _points(ax: Axes, chosen: pd.DataFrame, value: str, looks: dict[str, Look]) -> None:
    for _, family in chosen.groupby(["sae", "seed"], sort=False):
        parent = family[family["method"] == ORIGINAL]
        for _, tuned in family[family["method"] != ORIGINAL].iterrows():
            ends = [[*parent[name], tuned[name]] for name in ("l0", value)]
            ax.plot(*ends, color="#c8c8c8", linewidth=0.8, zorder=1)
    for method, look in looks.items():
        rows = chosen[chosen["method"] == method]
        if rows.empty:
            continue
        ax.errorbar(
            rows["l0"], rows[value], xerr=arms(rows, "l0"), yerr=arms(rows, value),
            linestyle="", color=look.colour, marker=look.marker, markeredgecolor="white",
            markeredgewidth=0.5, elinewidth=0.8, label=look.label, zorder=3,
        )  # fmt: skip


def _axes(ax: Axes, table: pd.DataFrame, chosen: pd.DataFrame, value: str) -> None:
    l0_axis(ax, table["l0"])
    ends = chosen[[value, f"{value}_low", f"{value}_high"]].to_numpy(dtype=float)
    top, bottom = np.nanmax(ends), min(0.0, float(np.nanmin(ends)))
    # Room above for the names of the recipes.
    ax.set_ylim(bottom - 0.03 * (top - bottom), top + 0.18 * (top - bottom))
    few_ticks(ax)


def _names(ax: Axes, chosen: pd.DataFrame, value: str, renderer: Any) -> None:
    """Name each recipe once, above the point that reaches highest."""
    reach = chosen[f"{value}_high"].fillna(chosen[value])
    highest = reach.groupby(chosen["sae"], sort=False).idxmax()
    labels = [(chosen.at[i, "sae"], chosen.at[i, "l0"], reach[i]) for i in highest]
    ends = [
        chosen[f"{name}_{end}"].fillna(chosen[name]).astype(float)
        for end in ("low", "high")
        for name in ("l0", value)
    ]
    place_labels(ax, labels, list(zip(*ends, strict=True)), renderer)


def by_architecture(
    table: pd.DataFrame,
    *,
    values: Sequence[str],
    line: tuple[float, str],
    labels: Mapping[str, str],
    names: Mapping[str, str] = NO_LABELS,
) -> Figure:
    """Draw two values against L0, one above the other, in two panels per hook.

    Parameters
    ----------
    table
        Columns model, hook, seed, architecture, and l0 and ``values`` with their intervals.
    values
        Two metrics' names, that of the upper panels first.
    line
        A horizontal reference and its name in the legend.
    labels
        Axis labels of the values and of l0.
    names
        Shorter labels, for values whose own does not fit beside a panel.

    Notes
    -----
    A thin line joins the SAEs of one architecture and seed in the order of their L0.
    """
    titles, parts = by_place(table, table["hook"])
    with use_style():
        looks = architecture_looks(table["architecture"])
        figure, pairs = pair_grid(titles, sharey=True)
        for key, pair in pairs.items():
            for ax, value in zip(pair, values, strict=True):
                ax.axhline(line[0], **REFERENCE)
                _joined(ax, parts[key], value, looks)
                l0_axis(ax, table["l0"])
                if ax.get_subplotspec().is_first_col():
                    ax.set_ylabel({**labels, **names}[value])
            pair[-1].set_xlabel(labels["l0"])
        handles = [Line2D([], [], label=look.label, **_hollow(look)) for look in looks.values()]
        legend_above(figure, [*handles, Line2D([], [], label=line[1], **REFERENCE)])
    return figure


def _joined(ax: Axes, chosen: pd.DataFrame, value: str, looks: dict[str, Look]) -> None:
    for (architecture, _), rows in chosen.groupby(["architecture", "seed"], sort=False):
        look, rows = looks[architecture], rows.sort_values("l0")
        ax.plot(rows["l0"], rows[value], color=look.colour, linewidth=0.6, zorder=1.5)
        ax.errorbar(
            rows["l0"], rows[value], xerr=arms(rows, "l0"), yerr=arms(rows, value),
            elinewidth=0.8, zorder=3, **_hollow(look),
        )  # fmt: skip


def _hollow(look: Look) -> dict[str, Any]:
    """Return how a point is drawn: hollow, for those of two architectures may coincide."""
    return {
        "color": look.colour,
        "marker": look.marker,
        "markersize": 4.5,
        "fillstyle": "none",
        "linestyle": "",
    }
