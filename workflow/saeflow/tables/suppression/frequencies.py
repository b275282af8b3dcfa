"""How often each latent of the original SAEs is active, sorted, and which are nearly dead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.tables.columns import runs_columns
from saeflow.tables.latents import activity, border, is_live
from saeflow.tables.runs import ORIGINAL, Run

READS = ("reconstruction",)
COLUMNS = (
    "rank_by_frequency", "log10_frequency", "rank_by_sum", "activation_sum", "live",
    "border_log10_frequency", "border_decades", "n_dead", "n_tokens", "n_documents",
)  # fmt: skip


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per latent of each original SAE.

    Ranks count from 1, the most frequent (largest) first. ``log10_frequency`` is -inf for the
    ``n_dead`` latents of an SAE that never fired; ``border_log10_frequency`` is where the
    frequencies fall into two classes, -inf where they do not, ``border_decades`` how far apart
    these are.
    """
    parts = []
    for run in runs:
        if run.key.method != ORIGINAL:
            continue
        found = activity(run.read_latents(), run.extent()["n_tokens"])
        frequency = found["log10_frequency"].to_numpy()
        found_border = border(frequency)
        parts.append(
            found.assign(
                **run.key.columns(),
                **run.extent(),
                rank_by_frequency=_ranks(frequency),
                rank_by_sum=_ranks(found["activation_sum"].to_numpy()),
                live=is_live(frequency),
                border_log10_frequency=found_border.threshold,
                border_decades=found_border.decades,
                n_dead=int(np.isneginf(frequency).sum()),
            )
        )
    columns = [*runs_columns(), *COLUMNS]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the place of each value among all, 1 for the largest; equal ones in their order."""
    ranks = np.empty(len(values), dtype=int)
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return ranks
