"""Sparsity against reconstruction error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.frontier import frontier

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "frontier"
TITLE = "L0 against unexplained variance"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of frontiers."""
    return frontier(table, "fvu")
