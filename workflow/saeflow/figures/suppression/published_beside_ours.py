"""The post's effects of fine-tuning beside ours, by method."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.panels import legend_above, require_rows
from saeflow.figures.style import INK, SERIES, method_looks, use_style

TABLE = "published"
TITLE = "Effects of fine-tuning: published and here"
EFFECTS = {
    "mse_reduction": "Fractional MSE reduction",
    "perplexity_recovery": "Fractional perplexity recovery",
}
METHODS = ("baseline", "scale", "unrotated_decoder", "decoder")
_PUBLISHED = {"color": INK, "marker": "_", "markersize": 14, "markeredgewidth": 1.6}
_OURS = {"color": SERIES[0], "marker": "o", "markersize": 5}


def draw(table: pd.DataFrame) -> Figure:
    """Draw the means over SAEs, with bars from the lowest to the highest SAE."""
    require_rows(table, "published numbers")
    with use_style():
        figure = Figure(figsize=(5.2, 2.4), layout="constrained")
        axes = figure.subplots(1, len(EFFECTS))
        looks = method_looks(METHODS)
        for ax, (effect, label) in zip(axes, EFFECTS.items(), strict=True):
            claims = table.set_index("claim").reindex([f"{effect}, {m}" for m in METHODS])
            x = range(len(METHODS))
            ax.axhline(0, color=INK, linewidth=0.6)
            arms = [claims["ours"] - claims["lowest"], claims["highest"] - claims["ours"]]
            ax.errorbar(x, claims["ours"], yerr=arms, linestyle="", elinewidth=0.8, **_OURS)
            ax.plot(x, claims["published"], linestyle="", zorder=3, **_PUBLISHED)
            names = [looks[m].label.replace(" ", "\n") for m in METHODS]
            ax.set_xticks(x, names)
            ax.set_xlim(-0.5, len(METHODS) - 0.5)
            ax.set_ylabel(label)
        handles = [
            Line2D([], [], linestyle="", label="published (Pythia-70m)", **_PUBLISHED),
            Line2D([], [], linestyle="", label="here, mean and range over SAEs", **_OURS),
        ]
        legend_above(figure, handles)
    return figure
