"""What probes read from every SAE of the study, beside what they read without one."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saeflow.tables.columns import metrics_table
from saeflow.tables.runs import Run

READS = ("probes",)


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per (model, hook, sae, seed, method) with the probes' metrics and intervals.

    ``n_tokens`` counts the tokens that probes were asked about.
    """
    return metrics_table(runs)
