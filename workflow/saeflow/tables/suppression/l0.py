"""Whether fine-tuning moved the sparsity."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saeflow.tables.columns import metrics_table
from saeflow.tables.runs import Run

READS = ("reconstruction",)
METRICS = ("l0",)


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per (model, hook, sae, seed, method) with these metrics and intervals."""
    return metrics_table(runs, METRICS)
