"""How the error falls while an SAE is fine-tuned, and where its closed form ends."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saeflow.tables.columns import runs_columns
from saeflow.tables.runs import ORIGINAL, Run

READS = ("sae",)
EXACT = "exact"


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the logged mean squared errors of each fine-tuned SAE.

    One row per row of its log with ``solver`` "steps": ``mse`` is the mean over the batches since
    the row before, ``tokens`` those it was fitted to so far; "kl_mse" likewise. One row with
    "exact" for a closed form: its error on the tokens that it was fitted to.
    """
    parts = []
    for run in runs:
        if run.key.method == ORIGINAL:
            continue
        record = run.records["sae"]
        solver = record["settings"]["solver"]
        if solver == EXACT:
            training = record["training"]
            ends = {"tokens": [training["tokens"]], "mse": [training["final"]["mse"]]}
            part = pd.DataFrame(ends)
        else:
            part = run.read_log()[["tokens", "mse"]]
        fit = record["settings"]["method"]
        parts.append(part.assign(**run.key.columns(), fit=fit, solver=solver))
    columns = [*runs_columns(), "fit", "solver", "tokens", "mse"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]
