"""Steps that several tables share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from saeflow.tables.runs import Run


def metrics_table(runs: Iterable[Run], metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """Return one row per run: its key, its extent, and metrics with their intervals.

    Parameters
    ----------
    runs
        Runs with at least one measure.
    metrics
        Names to keep, in this order; all by default. A run without one of them is left empty.
    """
    frame = pd.DataFrame([{**r.key.columns(), **r.extent(), **r.metrics()} for r in runs])
    if metrics is None or frame.empty:
        return frame
    wanted = [f"{name}{end}" for name in metrics for end in ("", "_low", "_high")]
    first = [*runs_columns(), "n_tokens", "n_documents"]
    return frame.reindex(columns=[*first, *wanted])


def runs_columns() -> list[str]:
    """Return the names of the columns that identify a run."""
    return ["model", "hook", "site", "block", "sae", "seed", "method"]
