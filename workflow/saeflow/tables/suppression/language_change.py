"""What fine-tuning changes in the model's loss with an SAE in place, paired by document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.tables.pairs import paired_table
from saeflow.tables.runs import Run

READS = ("language",)


def build(runs: Sequence[Run], *, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return one row per fine-tuned SAE: ce_sae after - before, in nats per token.

    Parameters
    ----------
    runs
        Runs of the language measure; the parent of each fine-tuned SAE must be among them.
    bootstrap, seed
        Number of resamples and their seed.
    """
    return paired_table(
        runs, "language_change", lambda run: run.read_predictions(), change,
        bootstrap=bootstrap, seed=seed,
    )  # fmt: skip


def change(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the change of the mean loss; both have the same number of predictions."""
    return (sums["tuned_ce_sae"] - sums["parent_ce_sae"]) / sums["parent_predictions"]
