"""The training logs of the study's SAEs, one under the other; fine-tuning is not among them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saeflow.tables.columns import runs_columns
from saeflow.tables.runs import ORIGINAL, Run

READS = ("sae",)
QUANTITIES = ("loss", "mse", "fvu", "l0", "dead")


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per logged step of each training."""
    parts = []
    for run in runs:
        if run.key.method != ORIGINAL:
            continue
        log = run.read_log().reindex(columns=["tokens", *QUANTITIES])
        parts.append(log.assign(**run.key.columns()))
    columns = [*runs_columns(), "tokens", *QUANTITIES]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]
