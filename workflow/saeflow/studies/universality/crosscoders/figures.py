"""Figures of crosscoders: relative norms of their features, and whether SAEs find the same ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from saeflow.figures.axes import arms
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place
from saeflow.figures.style import INK, MUTED, use_style
from saeflow.studies.universality.crosscoders import ALONE, EXCHANGED, MATCHED, SHARED, WEAK
from saeflow.studies.universality.crosscoders.tables import BOTH, OTHERS, OWN, kinds

_BINS = 40
_LIVE, _SHADE, _CHANCE = "#0072b2", "#eeeeee", "#bbbbbb"
_KINDS = {MATCHED: "matched", WEAK: "weakly\nmatched", EXCHANGED: "exchanged\npartners"}
_OF_CROSSCODER = ["model", "hook", "sae", "seed", "other_model", "other_hook"]


def relative_norms(table: pd.DataFrame) -> Drawing:
    """Draw a panel per crosscoder and place that it joins: live latents by their relative norm."""
    table, notes = finite(table[table["status"] == "live"], ["relative"])
    with use_style():
        places = _places(table)
        grid = panel_grid(places, size=(2.6, 1.6), sharey=False)
        for (ax,), place in zip(grid.panels, places, strict=True):
            _histogram(ax, place.rows["relative"].to_numpy())
        grid.label(x="Share of the norm at the second place", y="Features")
    said = "Percentages are of the live features: one place's own, shared, the other's own."
    return Drawing(grid.figure, table, (said, *notes))


def _places(table: pd.DataFrame) -> list[Place]:
    """Return a panel per crosscoder and place that it joins, a row of panels per crosscoder."""
    one_name = table["sae"].nunique() == 1
    found = []
    for key, rows in table.groupby(_OF_CROSSCODER, sort=False):
        of = dict(zip(_OF_CROSSCODER, key, strict=True))
        ends = [
            hook if of["model"] == of["other_model"] else f"{model} {hook}"
            for model, hook in ((of["model"], of["hook"]), (of["other_model"], of["other_hook"]))
        ]
        name = "" if one_name else f"{of['sae']}: "
        mark = " (shuffled)" if rows["shuffled"].iloc[0] else ""
        found.append(Place((), f"{len(found)}", f"{name}{ends[0]} and {ends[1]}{mark}", rows))
    return found


def _histogram(ax: Axes, relative: np.ndarray) -> None:
    for low, high in ((0, ALONE), (SHARED, 1 - SHARED), (1 - ALONE, 1)):
        ax.axvspan(low, high, color=_SHADE, linewidth=0, zorder=0)
    counts, edges = np.histogram(relative, bins=_BINS, range=(0, 1))
    ax.stairs(counts, edges, fill=True, color=_LIVE, zorder=2)
    ax.set_ylim(0, 1.25 * max(1, counts.max()))  # room for the shares
    ax.set_xlim(0, 1)
    kind = kinds(relative)
    for x, name, side in ((0.0, OWN, "left"), (0.5, BOTH, "center"), (1.0, OTHERS, "right")):
        ax.annotate(
            f"{(kind == name).mean():.0%}", (x, 0.98), xycoords=("data", "axes fraction"),
            xytext=(-2 if side == "right" else 2 if side == "left" else 0, 0),
            textcoords="offset points", ha=side, va="top", fontsize=7, color=MUTED, zorder=3,
        )  # fmt: skip


def agreement(table: pd.DataFrame) -> Drawing:
    """Draw a panel per crosscoder and place: the share of pairs of features that are one of it."""
    table, notes = finite(table, ["found"])
    with use_style():
        places = _places(table)
        grid = panel_grid(places, size=(2.4, 1.3), stacked=2)
        for axes, place in zip(grid.panels, places, strict=True):
            for ax, value in zip(axes, ("found", "cosine"), strict=True):
                _bars(ax, place.rows, value)
        grid.label(x="Pairs of features of two SAEs", y=("Share found", "Mean cosine"))
    n = int(table.groupby([*_OF_CROSSCODER, "kind"]).size().max())
    said = (
        "The stroke is the 95 % interval over pairs of features."
        if n == 1
        else f"Bars are means over up to {n} pairs of SAEs; dots are single ones with their 95 %"
        " intervals over pairs of features."
    )
    return Drawing(grid.figure, table, (said, *notes))


def _bars(ax: Axes, rows: pd.DataFrame, value: str) -> None:
    for x, kind in enumerate(_KINDS):
        own = rows[rows["kind"] == kind]
        if own.empty:
            continue
        colour = _CHANCE if kind == EXCHANGED else _LIVE
        light = 0.45 if kind == WEAK else 1.0
        ax.bar(x, own[value].mean(), 0.7, color=colour, alpha=light, zorder=2)
        at = x + (np.arange(len(own)) - (len(own) - 1) / 2) * min(0.12, 0.6 / len(own))
        ax.errorbar(
            at, own[value], yerr=arms(own, value), linestyle="", elinewidth=0.7, ecolor=INK,
            marker="o" if len(own) > 1 else "", markersize=2, markerfacecolor="white",
            markeredgewidth=0.6, color=INK, zorder=3,
        )  # fmt: skip
    ax.set_xticks(range(len(_KINDS)), list(_KINDS.values()))
    ax.set_xlim(-0.6, len(_KINDS) - 0.4)
    ax.set_ylim(0, 1)
