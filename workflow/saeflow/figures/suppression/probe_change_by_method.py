"""Change of the loss of a probe of the activations on reconstructions, by layer and method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saeflow.figures.bars import bars_by_layer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TABLE = "probe_change"
TITLE = "Change of a probe's loss by method and layer"


def draw(table: pd.DataFrame) -> Figure:
    """Draw the table of changes; below the dashed line the probe reads better than before."""
    label = "Change of probe loss (nats)"
    return bars_by_layer(table, "probe_loss_change", label=label, line=(0.0, "no change"))
