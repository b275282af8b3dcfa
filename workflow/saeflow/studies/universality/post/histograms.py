"""Histograms of how often features are active, by model or by layer and width."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from saeflow.figures.drawing import Drawing
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import MAX_WIDTH, panel_grid
from saeflow.figures.places import Place, hooks_of, shown_hooks, spread
from saeflow.figures.style import MUTED, series_looks, use_style
from saeflow.studies.saying import span
from saeflow.studies.universality.post.frequencies import EDGES, EXPANSIONS, MODELS

_FEW_TOKENS = 10
_GUIDE = {"color": MUTED, "linewidth": 0.8, "linestyle": (0, (1, 2))}
_MOST_HOOKS = 4
_WIDTHS, _HEIGHT = (1.15, 1.75), 1.35  # inches of a panel
_TOP = 1.35  # of the highest bin: room for a line of text


def by_model(table: pd.DataFrame) -> Drawing:
    """Draw a row of panels per hook and in it one per model, the narrowest first."""
    table = table[table[MODELS].astype(bool)]
    models = list(table.sort_values(["d_in", "model"], kind="stable")["model"].unique())
    hooks = hooks_of(table)
    table = table[table["hook"].isin(spread(hooks, _MOST_HOOKS))]
    fewer = (f"Shown are {_MOST_HOOKS} of {len(hooks)} hooks, spread over the model.",)
    fewer = fewer if len(hooks) > _MOST_HOOKS else ()
    places = [
        Place((hook,), str(model), f"{model}, {hook}", rows)
        for hook in hooks_of(table)
        for model in models
        if len(rows := table[(table["hook"] == hook) & (table["model"] == model)])
    ]
    return _histograms(table, places, "sae", fewer)


def by_expansion(table: pd.DataFrame) -> Drawing:
    """Draw a row of panels per model and hook and in it one per ratio of width to input."""
    table = table[table[EXPANSIONS].astype(bool)]
    models, ratios = table["model"].unique(), np.sort(table["expansion"].unique())
    table, fewer = shown_hooks(table, len(models) * len(ratios))
    named = {model: f"{model}, " if len(models) > 1 else "" for model in models}
    cells = table.groupby(["model", "hook", "expansion"])
    places = [
        Place((str(model), hook), f"{ratio:g}", f"{named[model]}{hook}, 1:{ratio:g}", rows)
        for model in models
        for hook in hooks_of(table)
        for ratio in ratios
        if (model, hook, ratio) in cells.groups
        for rows in [cells.get_group((model, hook, ratio))]
    ]
    return _histograms(table, places, "architecture", fewer)


def _histograms(
    table: pd.DataFrame, places: list[Place], series: str, notes: tuple[str, ...]
) -> Drawing:
    """Draw panels, with a colour for each value of a column."""
    with use_style():
        looks = {name: colour for name, (colour, _) in series_looks(table[series]).items()}
        across = (MAX_WIDTH - 0.5) / len({place.column for place in places})
        size = (float(np.clip(across, *_WIDTHS)), _HEIGHT)
        grid = panel_grid(places, size=size, sharey=False)
        for (ax,), place in zip(grid.panels, places, strict=True):
            _panel(ax, place.rows, looks, series)
        grid.label(x="Activation frequency", y="Number of features")
        handles = [Patch(color=colour, label=name) for name, colour in looks.items()]
        guide = Line2D([], [], label=f"{_FEW_TOKENS} tokens", **_GUIDE)
        legend_above(grid.figure, [*handles, guide])
    n_tokens, n_below = span(table["n_tokens"], ",.0f"), int(table["n_below"].max())
    counted = f"Counted on {n_tokens} tokens for each SAE."
    if n_below:
        counted += f" Up to {n_below:,} features of an SAE are rarer than the axis begins."
    return Drawing(grid.figure, table, (counted, *notes))


def _panel(ax: Axes, rows: pd.DataFrame, looks: Mapping[str, str], series: str) -> None:
    highest = 1
    for (name, _), own in rows.groupby([series, "seed"], sort=False):
        for _, sae in own.groupby("sae", sort=False):
            counts = np.zeros(len(EDGES) - 1)
            places = np.searchsorted(EDGES, np.sqrt(sae["low"] * sae["high"])) - 1
            np.add.at(counts, places, sae["n_features"])
            look = {"color": looks[name], "baseline": 0.0}
            ax.stairs(counts, EDGES, fill=True, alpha=0.3, **look)
            ax.stairs(counts, EDGES, linewidth=0.6, **look)
            highest = max(highest, counts.max())
    ax.axvline(_FEW_TOKENS / rows["n_tokens"].min(), **_GUIDE)
    ax.set_xscale("log")
    ax.set_xlim(EDGES[0], EDGES[-1])
    ax.set_xticks([1e-4, 1e-2, 1.0])
    ax.set_ylim(0, _TOP * highest)
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    dead, n_latents = (span(rows[name], ",.0f") for name in ("n_dead", "n_latents"))
    ax.text(
        0.97, 0.96, f"{dead} of {n_latents} dead", transform=ax.transAxes, ha="right", va="top",
        fontsize=6.5, color=MUTED,
    )  # fmt: skip
