"""L2 ratio by layer and method: below 1, reconstructions are too short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.bars import bars_by_layer
from saeflow.figures.panels import of_tuned_recipes
from saeflow.metrics.registry import METRICS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "l2_ratio"
TITLE = "L2 ratio by layer"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of L2 ratios; the dashed line is a reconstruction of the right length."""
    table = of_tuned_recipes(table)
    axis = METRICS["l2_ratio"].axis
    return bars_by_layer(table, "l2_ratio", label=axis, line=(1.0, "no suppression"))
