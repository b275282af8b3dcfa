"""L0 by layer and method: what fine-tuning did to the sparsity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.bars import bars_by_layer
from saeflow.metrics.registry import METRICS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "l0"
TITLE = "L0 by method and layer"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of L0."""
    return bars_by_layer(table, "l0", label=METRICS["l0"].axis)
