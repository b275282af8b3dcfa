"""Relative reconstruction bias by layer and method: below 1, latents are suppressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.bars import bars_by_layer
from saeflow.figures.panels import of_tuned_recipes
from saeflow.metrics.registry import METRICS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "reconstruction_bias"
TITLE = "Relative reconstruction bias by layer"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of biases; the dashed line is no bias."""
    table = of_tuned_recipes(table)
    label = METRICS["reconstruction_bias"].axis
    return bars_by_layer(table, "reconstruction_bias", label=label, line=(1.0, "no suppression"))
