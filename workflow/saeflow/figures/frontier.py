"""Sparsity against fidelity: a panel per hook, a point per SAE, tied to what it became."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saeflow.figures.labels import drawn, place_labels
from saeflow.figures.panels import (
    ORIGINAL,
    arms,
    by_place,
    few_ticks,
    l0_axis,
    label_outer,
    method_legend,
    panel_grid,
    require_rows,
)
from saeflow.figures.style import Look, method_looks, use_style
from saeflow.metrics.registry import METRICS


def frontier(table: pd.DataFrame, value: str) -> Figure:
    """Draw ``value`` against L0.

    Parameters
    ----------
    table
        Columns model, hook, sae, seed, method, and l0 and ``value`` with their intervals.
    value
        A metric's name.

    Notes
    -----
    A grey line joins an SAE with those fine-tuned from it. Intervals are drawn for both axes;
    where none is seen it is smaller than the marker.
    """
    require_rows(table, value)
    with use_style():
        looks = method_looks(table["method"])
        titles, parts = by_place(table, table["hook"])
        figure, panels = panel_grid(titles, panel_size=(2.5, 2.4), sharey=False)
        for key, ax in panels.items():
            chosen = parts[key]
            _points(ax, chosen, value, looks)
            _axes(ax, table, chosen, value)
        label_outer(panels.values(), x=METRICS["l0"].axis, y=METRICS[value].axis)
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
