"""Latents as points by frequency and strength, coloured by what fine-tuning did to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from saeflow.figures.panels import by_place, label_outer, panel_grid
from saeflow.figures.style import use_style

_MAP = "viridis"
_QUANTILES = (0.02, 0.98)


def scatter(
    table: pd.DataFrame, *, value: str, label: str, low: float | None = None, factor: bool = False
) -> Figure:
    """Draw the table of latents: one panel per hook and recipe.

    Parameters
    ----------
    table
        Columns model, hook, sae, log10_frequency, strength and ``value``.
    value
        The column that a point's colour says.
    label
        Of the colour bar.
    low
        Where the scale begins whatever the data, to end at 1; values below have its first colour.
        Without it the scale spans the central 96 % of the values of the figure.
    factor
        Whether the values are factors, of which the scale is logarithmic.
    """
    with use_style():
        titles, parts = by_place(table, table["hook"] + ", " + table["sae"])
        figure, panels = panel_grid(titles, panel_size=(1.75, 1.65))
        norm = _norm(table[value], low, factor=factor)
        points: Any = None
        for key, ax in panels.items():
            chosen = parts[key]
            points = ax.scatter(
                chosen["log10_frequency"], chosen["strength"], c=chosen[value],
                cmap=_MAP, norm=norm, s=5, linewidths=0,
            )  # fmt: skip
            ax.set_yscale("log")
        label_outer(panels.values(), x="log10 frequency", y="Mean activation\nwhere active")
        extend = "both" if low is None else "min"
        bar = figure.colorbar(
            points, ax=list(panels.values()), label=label, extend=extend, pad=0.01
        )
        if factor:
            bar.ax.yaxis.set_major_formatter("{x:g}")
            bar.ax.yaxis.set_minor_formatter("{x:g}")
    return figure


def _norm(values: pd.Series, low: float | None, *, factor: bool) -> Normalize:
    ends = np.quantile(values.dropna(), _QUANTILES) if values.notna().any() else (0.5, 1.0)
    if low is not None:
        ends = (low, 1.0)
    return LogNorm(*ends) if factor else Normalize(*ends)
