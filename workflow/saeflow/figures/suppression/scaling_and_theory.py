"""The scaling of each latent against its strength, with the curve that the theory gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.panels import by_place, label_outer, legend_above, panel_grid, require_rows
from saeflow.figures.scatter import decoder_tuned
from saeflow.figures.style import INK, SERIES, use_style

TABLE = "latents"
TITLE = "Scaling of latents and the one-feature theory"
_CURVE = {"color": INK, "linewidth": 1.0}
_POINTS = {"color": SERIES[0], "marker": "o", "linestyle": "", "markersize": 1.5, "alpha": 0.6}


def draw(table: pd.DataFrame) -> Figure:
    """Draw the live latents of the SAEs whose decoder was fitted, on logarithmic axes.

    A feature that the penalty made c d / 2 weaker, to a mean activation of a, is scaled back by
    (a + c d / 2) / a.
    """
    require_rows(table, "latents")
    table = decoder_tuned(table)
    table = table[table["predicted"].notna() & (table["strength"] > 0)]
    require_rows(table, "latents of SAEs with an L1 penalty")
    with use_style():
        places = table["hook"] + ", " + table["sae"]
        titles, parts = by_place(table, places)
        figure, panels = panel_grid(titles, panel_size=(1.75, 1.65))
        for key, ax in panels.items():
            chosen = parts[key]
            a = np.geomspace(chosen["strength"].min(), chosen["strength"].max(), 100)
            ax.plot(chosen["strength"], chosen["scaling"], **_POINTS)
            ax.plot(a, 1 + chosen["predicted"].iloc[0] / a, **_CURVE)
            ax.set_xscale("log")
            ax.set_yscale("log")
        label_outer(panels.values(), x="Mean activation where active", y="Scaling")
        handles = [
            Line2D([], [], **{**_POINTS, "markersize": 3}, label="a latent"),
            Line2D([], [], label="theory, one feature", **_CURVE),
        ]
        legend_above(figure, handles)
    return figure
