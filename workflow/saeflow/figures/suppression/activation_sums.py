"""Sorted sums of the activations of the latents of the original SAEs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.curves import Sorted, sorted_latents

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "frequencies"
TITLE = "Sorted sum of activations of latents"


def draw(table: pd.DataFrame) -> Figure:
    """Draw one curve per layer, on a logarithmic axis."""
    what = Sorted("activation_sum", "rank_by_sum", "Sum of activations", log=True)
    return sorted_latents(table, what)
