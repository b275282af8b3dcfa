"""Additive increase of latents by fine-tuning, over their frequency and strength."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.panels import require_rows
from saeflow.figures.scatter import Colour, scatter

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "latents"
TITLE = "Additive increase of latents by frequency and strength"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of latents; the colour is what scaling adds to the strength.

    As a share of c d / 2, which makes SAEs of several penalties comparable, where all have one.
    """
    require_rows(table, "latents")
    if table["predicted"].isna().any():
        return scatter(table, Colour("increase", "Additive increase"))
    share = table["increase"] / table["predicted"]
    return scatter(table.assign(share=share), Colour("share", "Increase / (c d / 2)"))
