"""What fine-tuning changes for linear probes, paired by document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.tables.pairs import paired_table
from saeflow.tables.runs import Run

READS = ("probes",)
CHANGES = {
    "probe_loss_change": "loss_sae",
    "probe_accuracy_change": "correct_sae",
    "probe_loss_change_codes": "loss_codes",
    "probe_accuracy_change_codes": "correct_codes",
}
"""Number -> the sum whose mean over tokens changes by it."""


def build(runs: Sequence[Run], *, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return one row per fine-tuned SAE: after - before, each with its interval.

    ``probe_loss_change`` (nats per token) and ``probe_accuracy_change`` (share of tokens) are of
    the probe that was fitted to activations and reads reconstructions; those with ``_codes`` of
    probes that were fitted to the latents before and after.

    Parameters
    ----------
    runs
        Runs of the probes; the parent of each fine-tuned SAE must be among them.
    bootstrap, seed
        Number of resamples and their seed.
    """
    tables = [
        paired_table(
            runs, name, lambda run: run.read_answers(), change(column),
            bootstrap=bootstrap, seed=seed,
        )
        for name, column in CHANGES.items()
    ]  # fmt: skip
    shared = [column for column in tables[0] if column in tables[-1]]
    return pd.concat([tables[0], *(table.drop(columns=shared) for table in tables[1:])], axis=1)


def change(column: str) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Return the change of a column's mean; both have the same number of tokens."""
    return lambda sums: (sums[f"tuned_{column}"] - sums[f"parent_{column}"]) / sums["parent_tokens"]
