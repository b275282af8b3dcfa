"""Every metric of every SAE of the study: the table of all numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saeflow.tables.columns import metrics_table
from saeflow.tables.runs import Run

READS = ("reconstruction", "language")


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per (model, hook, sae, seed, method) with all metrics and intervals."""
    return metrics_table(runs)
