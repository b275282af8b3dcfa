"""How much of its parent's error a fine-tuned SAE removes, paired by document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.tables.pairs import paired_table
from saeflow.tables.runs import Run

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
    return paired_table(
        runs, "mse_reduction", lambda run: run.read_documents(), reduction,
        bootstrap=bootstrap, seed=seed,
    )  # fmt: skip


def reduction(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the fraction of the squared error that is gone.

    The number of tokens and the width are the same on both sides, so they cancel.
    """
    before = sums["parent_squared_error"]
    return (before - sums["tuned_squared_error"]) / before
