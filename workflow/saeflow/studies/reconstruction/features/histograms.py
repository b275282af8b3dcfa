"""The figure of scores: how many features have which mean change, and which score."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from saeflow.figures.curves import block_colours
from saeflow.figures.drawing import Drawing
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, by_recipe
from saeflow.figures.style import INK, MUTED, use_style
from saeflow.studies.reconstruction.features.places import by_set

_HISTOGRAMS = {"mean_delta": "Mean change of ln p (nats)", "score": "Score (prompts)"}
_MOST_NAMED = 9
_LEAST_SIDE = 0.22  # of an axis, on either side of zero: room for a word


def histograms(table: pd.DataFrame) -> Drawing:
    """Draw how many features have which mean change, and which score, a colour per layer.

    Parameters
    ----------
    table
        Histograms: columns model, hook, site, block, sae, seed, prompts, quantity, low, high and
        n_features, a row per filled bin.
    """
    with use_style():
        colours = block_colours(sorted(table["block"].unique()))
        table = table.assign(quantity=table["quantity"].astype(pd.CategoricalDtype(_HISTOGRAMS)))
        table = table.sort_values("quantity", kind="stable").astype({"quantity": str})
        places = by_set(table, _of_recipes)
        grid = panel_grid(places, size=(2.9, 1.55), sharex=False, sharey=False)
        for (ax,), place in zip(grid.panels, places, strict=True):
            _histogram(ax, place.rows, colours)
        grid.label(x="", y="Features")
        for (ax,), place in zip(grid.panels, places, strict=True):
            ax.set_xlabel(_HISTOGRAMS[place.rows["quantity"].iloc[0]])
        named = list(colours)[:: -(-len(colours) // _MOST_NAMED)]
        handles = [Patch(color=colours[block], label=f"block {block}") for block in named]
        legend_above(grid.figure, handles)
    return Drawing(grid.figure, table)


def _of_recipes(rows: pd.DataFrame) -> list[Place]:
    """Return the panels of recipes, those of one quantity in a row."""
    found = []
    for quantity, own in rows.groupby("quantity", sort=False):
        for place in by_recipe(own):
            title = f"{place.title}: {'mean change' if quantity == 'mean_delta' else quantity}"
            found.append(place._replace(row=(str(quantity), *place.row[:1]), title=title))
    return found


def _histogram(ax: Axes, rows: pd.DataFrame, colours: Mapping[int, str]) -> None:
    low, high = rows["low"].min(), rows["high"].max()
    width = float((rows["high"] - rows["low"]).median())
    n = round((high - low) / width)
    for (block, _), own in rows.groupby(["block", "seed"], sort=False):
        counts = np.zeros(n)
        counts[((own["low"] - low) / width).round().astype(int)] = own["n_features"]
        edges = low + width * np.arange(n + 1)
        # a logarithmic axis has no zero: empty bins end below its edge
        look = {"baseline": 0.5, "color": colours[block]}
        ax.stairs(np.maximum(counts, 0.5), edges, fill=True, alpha=0.25, **look)
        ax.stairs(np.maximum(counts, 0.5), edges, linewidth=0.8, **look)
    ax.set_yscale("log")
    ax.set_ylim(0.7, 2.5 * rows["n_features"].max())
    room = max(high - low, width)
    left, right = min(low, -_LEAST_SIDE * room), max(high, _LEAST_SIDE * room)
    ax.set_xlim(left - 0.03 * room, right + 0.03 * room)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    for x, word, side in ((-0.03, "degrades", "right"), (0.03, "improves", "left")):
        ax.annotate(
            word, (0, 0.97), xycoords=("data", "axes fraction"), xytext=(72 * x, 0),
            textcoords="offset points", ha=side, va="top", fontsize=6.5, color=MUTED,
        )  # fmt: skip
