"""Fractional reduction of the MSE by layer and method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.bars import bars_by_layer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "mse_reduction"
TITLE = "Fractional MSE reduction by method and layer"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of reductions; the dashed line is the parent's error."""
    label = "Fractional MSE reduction"
    return bars_by_layer(table, "mse_reduction", label=label, line=(0.0, "no change"))
