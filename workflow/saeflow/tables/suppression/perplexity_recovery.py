"""How much of the perplexity that an SAE adds its fine-tuning takes off, paired by document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.tables.pairs import paired_table
from saeflow.tables.runs import Run

READS = ("language",)


def build(runs: Sequence[Run], *, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return one row per fine-tuned SAE: (ppl_parent - ppl_tuned) / (ppl_parent - ppl_model).

    Parameters
    ----------
    runs
        Runs of the language measure; the parent of each fine-tuned SAE must be among them.
    bootstrap, seed
        Number of resamples and their seed.
    """
    return paired_table(
        runs, "perplexity_recovery", lambda run: run.read_predictions(), recovery,
        bootstrap=bootstrap, seed=seed,
    )  # fmt: skip


def recovery(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the recovered share; perplexities are formed from summed losses."""
    n = sums["parent_predictions"]
    model, before, after = (
        np.exp(sums[name] / n) for name in ("parent_ce_clean", "parent_ce_sae", "tuned_ce_sae")
    )
    return (before - after) / (before - model)
