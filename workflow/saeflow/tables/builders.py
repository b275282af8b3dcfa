"""The tables that any study may have: of metrics, of what fine-tuning changed, of training logs.

A builder gets runs and gives a tidy DataFrame, a row per SAE or per line of its log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import Estimate
from saeflow.metrics.registry import METRICS, measure_of
from saeflow.tables.pairs import compare, pairs
from saeflow.tables.runs import ORIGINAL, Run

logger = logging.getLogger(__name__)

KEY = ("model", "hook", "site", "block", "sae", "seed", "method")
"""The columns that identify an SAE: those of `saeflow.tables.runs.Key.columns`."""

EXTENT = ("n_tokens", "n_documents")


def metrics_table(
    runs: Sequence[Run],
    *,
    metrics: Sequence[str],
    bootstrap: int = 0,
    seed: int = 0,
    facts: Sequence[str] = (),
    originals: bool = False,
) -> pd.DataFrame:
    """Return one row per SAE: its key, facts, extent, and metrics with their intervals.

    Where a metric can be doubted, ``notes`` says of each SAE whether it is, and why.

    Parameters
    ----------
    runs
        Runs of the measures that the metrics belong to.
    metrics
        Names, in the order of the columns.
    bootstrap, seed
        Number of resamples and their seed.
    facts
        Columns with what a `Run` says of the SAE: "architecture".
    originals
        Whether SAEs that were fine-tuned are left out.
    """
    last = ["notes"] if any(METRICS[name].doubt for name in metrics) else []
    rows = [
        {
            **run.key.columns(),
            **{name: getattr(run, name) for name in facts},
            **run.extent(),
            **columns(run.estimates(metrics, bootstrap=bootstrap, seed=seed)),
            **{name: run.notes(metrics) for name in last},
        }
        for run in runs
        if not originals or run.key.method == ORIGINAL
    ]
    for doubted in [row for row in rows if row.get("notes")][:1]:
        n = sum(1 for row in rows if row["notes"])
        logger.warning(
            "%d of %d SAEs have notes in the table, the first: %s at %s: %s",
            n, len(rows), doubted["sae"], doubted["hook"], doubted["notes"],
        )  # fmt: skip
    return pd.DataFrame(rows, columns=[*KEY, *facts, *EXTENT, *with_ends(metrics), *last])


def paired_table(
    runs: Sequence[Run], *, metrics: Sequence[str], bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return one row per fine-tuned SAE: paired metrics of it and its parent, with intervals.

    The parameters are those of `metrics_table`. The parent of each must be among the runs, and in
    a resample both have the same documents.
    """
    rows = []
    for parent, tuned in pairs(runs):
        found = {
            name: compare(
                parent, tuned, measure_of(name).name, METRICS[name].formula,
                bootstrap=bootstrap, seed=seed,
            )
            for name in metrics
        }  # fmt: skip
        rows.append({**tuned.key.columns(), **tuned.extent(), **columns(found)})
    return pd.DataFrame(rows, columns=[*KEY, *EXTENT, *with_ends(metrics)])


def training_logs(runs: Sequence[Run], *, quantities: Sequence[str]) -> pd.DataFrame:
    """Return one row per logged step of each SAE's training, without fine-tuning.

    ``quantities`` are columns of the logs, beside the tokens; empty where a log has none of that
    name.
    """
    wanted = ["tokens", *quantities]
    return stack(
        (
            run.log().reindex(columns=wanted).assign(**run.key.columns())
            for run in runs
            if run.key.method == ORIGINAL
        ),
        [*KEY, *wanted],
    )


def columns(found: Mapping[str, Estimate]) -> dict[str, float | None]:
    """Return name, name_low and name_high of each estimate as columns."""
    return {
        f"{name}{end}": value
        for name, estimate in found.items()
        for end, value in zip(("", "_low", "_high"), estimate, strict=True)
    }


def with_ends(names: Iterable[str]) -> list[str]:
    """Return what `columns` calls the columns of estimates."""
    return [f"{name}{end}" for name in names for end in ("", "_low", "_high")]


def fewest_documents(table: pd.DataFrame) -> float:
    """Return the fewest documents on which a row with an interval rests; infinity for none."""
    ends = [name for name in table.columns if str(name).endswith("_low")]
    if "n_documents" not in table or not ends:
        return np.inf
    drawn = pd.to_numeric(table.loc[table[ends].notna().any(axis=1), "n_documents"])
    return float(drawn.min()) if len(drawn) else np.inf


def stack(parts: Iterable[pd.DataFrame], wanted: Sequence[str]) -> pd.DataFrame:
    """Put tables one under the other, with these columns; without any tables, an empty one."""
    parts = list(parts)
    return pd.concat(parts or [pd.DataFrame(columns=wanted)], ignore_index=True)[list(wanted)]
