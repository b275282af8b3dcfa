"""Change of the model's loss by layer and method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.bars import bars_by_layer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "language_change"
TITLE = "Change of the loss by method and layer"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of changes; below the dashed line the model predicts better than before."""
    label = "Change of the loss (nats/token)"
    return bars_by_layer(table, "language_change", label=label, line=(0.0, "no change"))
