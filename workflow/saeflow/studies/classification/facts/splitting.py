"""Facts that one latent does not tell: told by several together, or absorbed by others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.axes import arms
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.legends import legend_above
from saeflow.figures.style import INK, MUTED, SERIES, WARNING, use_style
from saeflow.figures.texts import inches
from saeflow.studies.classification.facts import CAPTURED
from saeflow.studies.classification.facts.looks import PROBE, best_place, named
from saeflow.world.facts import KINDS

_ROW = 0.15  # inches of a fact
_PANEL = 1.75
_NAME = 6  # points
_POINT = {"markersize": 3.5, "linestyle": ""}
_POINTS: dict[str, dict[str, Any]] = {
    "fact_f1": {"color": SERIES[0], "marker": "o", "label": "best latent"},
    "fact_f1_union": {"color": SERIES[2], "marker": "D", "label": "latents together"},
    "fact_f1_probe": {"color": INK, "marker": "|", "label": PROBE, "markersize": 6},
    "fact_absorption": {"color": WARNING, "marker": "x", "label": "absorption"},
}


def splitting(table: pd.DataFrame) -> Drawing:
    """Draw a panel per kind, a row per fact: F1 of the best latent and of several; absorption.

    The SAE with the highest mean F1 is drawn, at its hook.
    """
    table, odd = finite(named(table), ["fact_f1", "fact_f1_union"])
    model, hook, series = best_place(table, "fact_f1")
    rows = table[(table["model"] == model) & (table["hook"] == hook) & (table["series"] == series)]
    n_seeds = rows["seed"].nunique()
    rows = rows[rows["seed"] == rows["seed"].min()]
    with use_style():
        figure = _panels(rows)
    said = f"Shown is {series} at {hook}, the SAE with the highest mean F1"
    said += f", of {n_seeds} seeds the first." if n_seeds > 1 else "."
    return Drawing(figure, rows.drop(columns="series"), (said, *odd))


def _panels(rows: pd.DataFrame) -> Figure:
    parts = [(kind, own) for kind in KINDS if len(own := rows[rows["kind"] == kind])]
    beside = [max(inches(name, _NAME) for name in own["fact"]) + 0.15 for _, own in parts]
    most = max(len(own) for _, own in parts)
    figure = Figure(
        figsize=(max(3.4, sum(beside) + _PANEL * len(parts) + 0.2), most * _ROW + 0.95),
        layout="constrained",
    )
    axes = figure.subplots(1, len(parts), squeeze=False)[0]
    for ax, (kind, own) in zip(axes, parts, strict=True):
        _panel(ax, own, most)
        ax.set_title(f"{kind} facts")
        ax.set_xlabel("F1, or share of tokens")
    handles = [Line2D([], [], **(_POINT | look)) for look in _POINTS.values()]
    number = {"marker": "$2$", "color": MUTED, "label": "latents that tell it, if several"}
    legend_above(figure, [*handles, Line2D([], [], **(_POINT | number))])
    return figure


def _panel(ax: Axes, rows: pd.DataFrame, most: int) -> None:
    y = np.arange(len(rows))
    ax.axvline(CAPTURED, color=INK, linewidth=0.6, linestyle=":")
    ax.hlines(y, rows["fact_f1"], rows["fact_f1_union"], color=SERIES[2], linewidth=0.8, zorder=2)
    for value, look in _POINTS.items():
        given = _POINT | {"zorder": 3} | look
        if value == "fact_f1_probe":
            ax.plot(rows[value], y, **given)
            continue
        error = arms(rows, value) if value != "fact_f1_union" else None
        ax.errorbar(rows[value], y, xerr=error, elinewidth=0.6, **given)
    for place, n in zip(y, rows["n_latents"], strict=True):
        if n > 1:
            ax.annotate(
                f"{n}", (1.03, place), xycoords=ax.get_yaxis_transform(), fontsize=_NAME,
                va="center", color=MUTED, annotation_clip=False,
            )  # fmt: skip
    ax.set_yticks(y, rows["fact"], fontsize=_NAME)
    ax.set_ylim(most - 0.4, -0.6)  # rows of one height in all panels
    ax.set_xlim(-0.03, 1.03)
    ax.grid(axis="x")
    ax.grid(axis="y", visible=False)
