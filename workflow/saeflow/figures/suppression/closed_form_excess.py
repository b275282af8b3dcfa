"""How much error gradient steps leave beyond the closed form, by layer and method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.bars import bars_by_layer
from saeflow.figures.panels import require_rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "closed_form"
TITLE = "Error of gradient steps beyond the closed form"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of excesses; below the dashed line the steps did better on held-out text."""
    label = "MSE of steps / closed form - 1"
    require_rows(table, label)
    table = table.assign(method=table["steps"])
    return bars_by_layer(table, "excess", label=label, line=(0.0, "the closed form"))
