"""Fractional recovery of the perplexity by layer and method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.bars import bars_by_layer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "perplexity_recovery"
TITLE = "Fractional perplexity recovery by method and layer"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of recoveries; the dashed line is the parent's perplexity."""
    label = "Fractional perplexity recovery"
    return bars_by_layer(table, "perplexity_recovery", label=label, line=(0.0, "no change"))
