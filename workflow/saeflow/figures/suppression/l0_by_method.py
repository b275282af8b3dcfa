"""L0 by layer and method: what fine-tuning did to the sparsity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.dots import dots_by_layer
from saeflow.figures.panels import of_tuned_recipes
from saeflow.metrics.registry import METRICS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "l0"
TITLE = "L0 by method and layer"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of L0 on a logarithmic axis; the line is the original's."""
    return dots_by_layer(of_tuned_recipes(table), "l0", label=METRICS["l0"].axis)
