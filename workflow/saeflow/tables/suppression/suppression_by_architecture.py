"""How much each architecture suppresses, beside how sparse its SAEs are."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saeflow.tables.columns import metrics_table, runs_columns
from saeflow.tables.pairs import measured_and_trained
from saeflow.tables.runs import ORIGINAL, Run

READS = ("reconstruction", "sae")
METRICS = ("l0", "reconstruction_bias", "l2_ratio", "fvu")


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per SAE that was not fine-tuned: its architecture, metrics and intervals."""
    measured, trained = measured_and_trained(runs)
    originals = [run for run in measured if run.key.method == ORIGINAL]
    table = metrics_table(originals, METRICS)
    records = [trained[run.key.training].records["sae"] for run in originals]
    table.insert(
        len(runs_columns()), "architecture", [record["architecture"] for record in records]
    )
    return table
