"""Scaling of latents by fine-tuning, over their frequency and strength."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.scatter import Colour, scatter

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "latents"
TITLE = "Scaling of latents by frequency and strength"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of latents; the colour is |w| after over before."""
    return scatter(table, Colour("scaling", "Scaling", is_factor=True))
