"""Similarity of SAEs of one recipe but for their widths, against the widest. Read `by_width`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from saeflow.figures.axes import few_ticks
from saeflow.figures.drawing import Drawing, seeds_note
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_recipe_and_hook, shown_hooks
from saeflow.figures.style import MUTED, Look, use_style
from saeflow.metrics.similarity import CORRELATION, COSINE
from saeflow.studies.universality.post.directed import (
    DOWNWARD,
    OWN,
    UPWARD,
    against_widest,
    of_table,
    to_draw,
)


class _Level(NamedTuple):
    """What one row of axes shows: a label, and columns of nulls with their line styles."""

    label: str
    nulls: Mapping[str, str]


LEVELS = {
    COSINE: _Level("MCS", {"null_gaussian": "--"}),
    CORRELATION: _Level("Correlation", {"null_tokens": "--", "null_random": ":"}),
}
LOOKS = {
    UPWARD: Look("#e69f00", "o", "features of the smaller SAE looked for in the largest"),
    DOWNWARD: Look("#0072b2", "s", "features of the largest looked for in the smaller"),
}
_NULLS = {"--": "by chance", ":": "in an SAE with random weights"}
_NULL = {"linewidth": 0.8}
_ALONE = {"marker": "_", "markersize": 6}  # a line through a single point


def by_width(table: pd.DataFrame) -> Drawing:
    """Draw a panel per model, architecture and hook: similarity by the smaller SAE's expansion."""
    rows = to_draw(against_widest(table), "SAEs of different widths")
    rows = rows[rows["quantity"].isin(LEVELS)]
    names = ("model", "hook", "site", "block", "seed")
    places_of = {name: rows[f"{OWN}_{name}"] for name in names}
    several = rows[f"{OWN}_architecture"].nunique() > 1
    panels = rows.assign(**places_of, sae=rows[f"{OWN}_architecture"] if several else "")
    n_rows = panels.groupby(["model", "sae"]).ngroups
    panels, fewer = shown_hooks(panels, n_rows)
    with use_style():
        places = by_recipe_and_hook(panels)
        places = [place._replace(title=place.title.removesuffix(", ")) for place in places]
        grid = panel_grid(places, size=(2.0, 1.6), stacked=len(LEVELS))
        for panel, place in zip(grid.panels, places, strict=True):
            for ax, (quantity, level) in zip(panel, LEVELS.items(), strict=True):
                _curves(ax, place.rows[place.rows["quantity"] == quantity], level)
                few_ticks(ax)
            _ratio_axis(panel, np.unique(panels[["expansion", "widest"]]))
        grid.label(x="Ratio of the smaller SAE", y=[level.label for level in LEVELS.values()])
        legend_above(grid.figure, _handles(panels))
    widest = ", ".join(f"1:{value:g}" for value in np.sort(panels["widest"].unique()))
    seeds = seeds_note(
        panels.groupby(["model", "hook"])["seed"].nunique(), mean="Lines go through",
        one="Strokes are 95 % intervals, of correlations.",
        several="strokes reach from the lowest to the highest end of their intervals.",
    )  # fmt: skip
    notes = (f"The largest has the ratio {widest}.", seeds, *fewer)
    return Drawing(grid.figure, of_table(table, panels), notes)


def _handles(panels: pd.DataFrame) -> list[Line2D]:
    """Return the entries of the legend; of nulls those that there are."""
    handles = [
        Line2D([], [], label=look.label, **{**look.point(3.5), "linestyle": "-"})
        for look in LOOKS.values()
    ]
    drawn = {
        style
        for quantity, level in LEVELS.items()
        for null, style in level.nulls.items()
        if panels.loc[panels["quantity"] == quantity, null].notna().any()
    }
    handles += [
        Line2D([], [], label=name, color=MUTED, linestyle=style, **_NULL)
        for style, name in _NULLS.items()
        if style in drawn
    ]
    return handles


def _curves(ax: Axes, rows: pd.DataFrame, level: _Level) -> None:
    highest = rows["value"].max()
    for way, look in LOOKS.items():
        own = rows[rows["way"] == way]
        if own.empty:
            continue
        ends = own.assign(
            low=own["value_low"].fillna(own["value"]), high=own["value_high"].fillna(own["value"])
        )
        at = ends.groupby("expansion")
        ax.plot(at["value"].mean(), **{**look.point(3.5), "linestyle": "-", "linewidth": 1.0})
        low, high = at["low"].min(), at["high"].max()
        ax.vlines(low.index, low, high, color=look.colour, linewidth=0.6)
        for null, style in level.nulls.items():
            by_chance = at[null].mean()
            alone = _ALONE if len(by_chance) == 1 else {}
            ax.plot(by_chance, color=look.colour, linestyle=style, **_NULL, **alone)
    ax.set_ylim(0, max(1.0, 1.02 * highest) if np.isfinite(highest) else 1.0)


def _ratio_axis(panel: tuple[Axes, ...], ratios: np.ndarray) -> None:
    for ax in panel:
        ax.set_xscale("log", base=2)
        ax.set_xlim(ratios[0] / 1.3, ratios[-1] * 1.3)
        ax.set_xticks(ratios, [f"1:{ratio:g}" for ratio in ratios])
        ax.xaxis.set_minor_locator(NullLocator())
