"""How far reconstructions are from the best rescaling of themselves, by architecture."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saeflow.tables.columns import metrics_table
from saeflow.tables.runs import Run

READS = ("reconstruction",)
METRICS = ("reconstruction_bias",)


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per (model, hook, sae, seed, method) with these metrics and intervals."""
    return metrics_table(runs, METRICS)
