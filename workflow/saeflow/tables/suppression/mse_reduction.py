"""How much of its parent's error a fine-tuned SAE removes, paired by document."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.errors import DataError
from saeflow.measures.intervals import Estimate, estimates
from saeflow.tables.columns import runs_columns
from saeflow.tables.runs import ORIGINAL, Run

READS = ("reconstruction",)


def build(runs: Sequence[Run], *, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return one row per fine-tuned SAE: (mse_parent - mse_tuned) / mse_parent.

    Parameters
    ----------
    runs
        Runs of the reconstruction; the parent of each fine-tuned SAE must be among them.
    bootstrap, seed
        Number of resamples and their seed.
    """
    by_key = {run.key: run for run in runs}
    rows = []
    for run in runs:
        if run.key.method == ORIGINAL:
            continue
        if run.key.parent not in by_key:
            raise DataError(
                "the SAE from which this one was fine-tuned was not measured",
                where=f"{run.key.model} > {run.key.hook} > {run.key.sae}~{run.key.method}",
                remedy="Add its recipe to the study's `saes`.",
            )
        found = reduction(by_key[run.key.parent], run, bootstrap=bootstrap, seed=seed)
        rows.append(
            {
                **run.key.columns(),
                **run.extent(),
                "mse_reduction": found.value,
                "mse_reduction_low": found.low,
                "mse_reduction_high": found.high,
            }
        )
    ends = ["mse_reduction", "mse_reduction_low", "mse_reduction_high"]
    return pd.DataFrame(rows, columns=[*runs_columns(), "n_tokens", "n_documents", *ends])


def reduction(parent: Run, tuned: Run, *, bootstrap: int, seed: int) -> Estimate:
    """Return the fractional reduction of the MSE, both SAEs on the same resampled documents."""
    before, after = parent.read_documents(), tuned.read_documents()
    same = len(before) == len(after) and all(
        np.array_equal(before[column], after[column]) for column in ("document", "tokens")
    )
    if not same:
        raise DataError(
            "two SAEs were measured on different documents, so they cannot be compared in pairs",
            where=f"{tuned.key.sae}~{tuned.key.method}",
            expected=f"the {len(before)} documents of {parent.key.sae}",
            got=f"{len(after)} documents",
        )
    columns = {
        "parent": before["squared_error"].to_numpy(),
        "tuned": after["squared_error"].to_numpy(),
    }
    # The number of tokens and the width are the same on both sides, so they cancel.
    return estimates(
        {"mse_reduction": lambda sums: (sums["parent"] - sums["tuned"]) / sums["parent"]},
        columns,
        constants={},
        samples=bootstrap,
        seed=seed,
    )["mse_reduction"]
