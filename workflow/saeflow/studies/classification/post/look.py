"""The post's own figure, in its look: accuracy of original and encoded states by layer."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from saeflow.figures.axes import layer_axis
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.panels import MAX_WIDTH
from saeflow.figures.places import sites_of
from saeflow.figures.style import use_style
from saeflow.studies.classification.post.figures import of_saes, of_several
from saeflow.studies.classification.post.tables import CODES, NORMAL, PUBLISHED, STATES
from saeflow.tables.runs import natural

_GROUND, _RIM = "#EAEAF2", "white"
_ORIGINAL, _ENCODED = "#4C72B0", "#DD8452"
_WIDE, _TALL = 10, 5  # of the post's figures, in inches


def as_published(table: pd.DataFrame) -> Drawing:
    """Draw a panel per model and site: test accuracy of states, and of the codes of one SAE."""
    from matplotlib.figure import Figure

    kept = (table["setting"] == NORMAL) & (table["probe"] == PUBLISHED)
    table = of_several(table[kept & (table["pooling"] == "last")])
    table, notes = finite(table[table["input"].isin((STATES, CODES))], ["accuracy"])
    recipes = sorted(table.loc[table["sae"] != "", "sae"].unique(), key=natural)
    shown = table[table["sae"].isin(["", *recipes[:1]])]
    if len(recipes) > 1:
        notes = (*notes, f"Encoded are states by {recipes[0]}, the first of {len(recipes)} SAEs.")
    panels = [
        (model, site, rows[rows["site"] == site])
        for model, rows in shown.groupby("model", sort=False)
        for site in sites_of(rows)
    ]
    with use_style():
        height = MAX_WIDTH * _TALL / _WIDE
        figure = Figure(figsize=(MAX_WIDTH, height * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), squeeze=False)[:, 0]
        several = shown["site"].nunique() > 1
        for ax, (model, site, rows) in zip(axes, panels, strict=True):
            _panel(ax, rows)
            ax.set_title(f"{model}, {site}" if several else model)
    return Drawing(figure, of_saes(shown), notes)


def _panel(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw means over seeds, without intervals, as the post does."""
    at = layer_axis(ax, sorted(rows["block"].unique()), MAX_WIDTH)
    ax.set_facecolor(_GROUND)
    ax.grid(visible=True, color=_RIM, linewidth=1.0)
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for given, label, colour, style in (
        (STATES, "Original", _ORIGINAL, "-"), (CODES, "Encoded", _ENCODED, "--"),
    ):  # fmt: skip
        means = rows[rows["input"] == given].groupby("block")["accuracy"].mean()
        ax.plot(
            means.index.map(at), means, color=colour, linestyle=style, marker="o", markersize=6,
            linewidth=1.5, label=label,
        )  # fmt: skip
    ax.set_xlabel("Layer")
    ax.set_ylabel("Accuracy")
    ax.legend(loc="upper left")
