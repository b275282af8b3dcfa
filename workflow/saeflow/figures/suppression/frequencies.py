"""Sorted frequencies of the latents of the original SAEs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.curves import Sorted, sorted_latents

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "frequencies"
TITLE = "Sorted log10 frequency of latents"


def draw(table: pd.DataFrame) -> Figure:
    """Draw one curve per layer, and the border to nearly dead latents."""
    what = Sorted(
        "log10_frequency", "rank_by_frequency", "log10 frequency", border="border_log10_frequency"
    )
    return sorted_latents(table, what)
