"""Rotation of latents by fine-tuning, over their frequency and strength."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.scatter import Colour, scatter

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "latents"
TITLE = "Rotation of latents by frequency and strength"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of latents; the colour is the cosine of rows, clipped at .95."""
    return scatter(table, Colour("rotation", "Cosine of decoder rows", low=0.95))
