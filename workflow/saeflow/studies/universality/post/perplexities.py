"""The perplexity of a model with SAEs in it, by layer. Read `perplexity_by_layer`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from saeflow.figures.drawing import Drawing
from saeflow.figures.lines import Level, lines_by_layer
from saeflow.figures.style import INK, MUTED, SERIES, Look

_SERIES = {
    "perplexity": Look(INK, "s", "untouched model"),
    "perplexity_sae": Look(SERIES[0], "o", "reconstructions"),
    "perplexity_mean": Look(MUTED, "X", "mean in place of activations", 1),
}
_ENDS = ("", "_low", "_high")


def perplexity_by_layer(table: pd.DataFrame) -> Drawing:
    """Draw a panel per model and recipe: the model as it is, with reconstructions, with means.

    Parameters
    ----------
    table
        Metrics ``perplexity``, ``perplexity_sae`` and ``ce_loss_mean`` with their intervals.
    """
    of_mean = {f"perplexity_mean{end}": np.exp(table[f"ce_loss_mean{end}"]) for end in _ENDS}
    wide = table.assign(level="", **of_mean)
    rows = [
        wide.assign(series=name, **{f"value{end}": wide[f"{name}{end}"] for end in _ENDS})
        for name in _SERIES
    ]
    levels = {"": Level("Perplexity", log=True)}
    drawing = lines_by_layer(pd.concat(rows, ignore_index=True), _SERIES, levels)
    return drawing._replace(rows=table)
