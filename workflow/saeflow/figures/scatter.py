"""Latents as points by frequency and strength, coloured by what fine-tuning did to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize

from saeflow.figures.axes import count_ticks, log_ticks
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_recipe_and_hook, shown_hooks
from saeflow.figures.style import use_style

_MAP = "viridis"
_BAR = 0.75  # inches
_QUANTILES = (0.02, 0.98)


def scatter(
    table: pd.DataFrame,
    *,
    value: str,
    label: str,
    end: float | None = None,
    factor: bool = False,
) -> Drawing:
    """Draw the table of latents: one panel per hook and recipe.

    Parameters
    ----------
    table
        Columns model, hook, site, block, sae, log10_frequency, strength and ``value``, which a
        point's colour says.
    label
        Of the colour bar.
    end
        Where the scale ends, if the values have a largest one; it begins below 98 % of them.
        Without it the scale spans the central 96 % of the values of the figure.
    factor
        Whether the values are factors, of which the scale is logarithmic.
    """
    table, odd = finite(table, ["log10_frequency", "strength", value], positive=["strength"])
    table, fewer = shown_hooks(table, table.groupby(["model", "sae"]).ngroups)
    with use_style():
        places = by_recipe_and_hook(table)
        grid = panel_grid(places, size=(1.75, 1.65))
        norm, note = _norm(table[value].to_numpy(float), end, factor=factor)
        points: Any = None
        for (ax,), place in zip(grid.panels, places, strict=True):
            rows = place.rows
            points = ax.scatter(
                rows["log10_frequency"], rows["strength"], c=rows[value],
                cmap=_MAP, norm=norm, s=5, linewidths=0,
            )  # fmt: skip
            ax.set_yscale("log")
            count_ticks(ax)
        for ax in grid.axes:
            log_ticks(ax.yaxis)
        grid.label(x="log10 frequency", y="Mean activation\nwhere active")
        grid.add_beside(_BAR)
        bar = grid.figure.colorbar(
            points, ax=grid.axes, label=label, extend="both" if end is None else "min", pad=0.01,
            aspect=20, shrink=min(1.0, 3.5 / grid.figure.get_figheight()), anchor=(0, 1.0),
        )  # fmt: skip
        if factor:
            log_ticks(bar.ax.yaxis)
    return Drawing(grid.figure, table, (note, *odd, *fewer))


def _norm(values: np.ndarray, end: float | None, *, factor: bool) -> tuple[Normalize, str]:
    """Return the scale of colours, and a note on how much of the values it shows."""
    low, high = np.quantile(values, _QUANTILES)
    kind = "is logarithmic and spans" if factor else "spans"
    note = f"The colour scale {kind} the central 96 % of the values of all panels."
    if end is not None:
        high = end
        note = f"The colour scale begins at {low:.2g}; the 2 % below have its darkest colour."
    if not low < high:
        low, high = (low / 1.1, low * 1.1) if factor else (low - 0.05, low + 0.05)
        note = "All values are the same."
    return LogNorm(low, high) if factor else Normalize(low, high), note
