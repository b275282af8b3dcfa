"""Fine-tuned SAEs beside their parents, compared document by document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.errors import DataError
from saeflow.measures.intervals import Estimate, estimates
from saeflow.tables.columns import runs_columns
from saeflow.tables.runs import ORIGINAL, Key, Run

Formula = Callable[[Mapping[str, np.ndarray]], np.ndarray]
Read = Callable[[Run], pd.DataFrame]


def pairs(runs: Sequence[Run]) -> Iterator[tuple[Run, Run]]:
    """Yield the parent of each fine-tuned run, and the run.

    Raises
    ------
    DataError
        If a parent is not among the runs.
    """
    by_key = {run.key: run for run in runs}
    for run in runs:
        if run.key.method == ORIGINAL:
            continue
        if run.key.parent not in by_key:
            raise DataError(
                "the SAE from which this one was fine-tuned was not measured",
                where=f"{run.key.model} > {run.key.hook} > {run.key.sae}~{run.key.method}",
                remedy="Add its recipe to the study's `saes`.",
            )
        yield by_key[run.key.parent], run


def measured_and_trained(runs: Sequence[Run]) -> tuple[list[Run], dict[Key, Run]]:
    """Split runs into those that were measured, and the SAEs themselves by `Key.training`."""
    measured = [run for run in runs if run.key.eval_dataset]
    return measured, {run.key: run for run in runs if not run.key.eval_dataset}


def paired_table(
    runs: Sequence[Run], name: str, read: Read, formula: Formula, *, bootstrap: int, seed: int
) -> pd.DataFrame:
    """Return one row per fine-tuned SAE with a number formed from its and its parent's sums.

    Parameters
    ----------
    runs
        Runs that have what ``read`` reads; the parent of each must be among them.
    name
        Of the number; ``name_low`` and ``name_high`` are its interval.
    read
        Gives a run's sums per document, with the columns document and tokens or predictions.
    formula
        From the sums "parent_<column>" and "tuned_<column>", or arrays of them, to the number.
    bootstrap, seed
        Number of resamples, in which both have the same documents, and their seed.
    """
    rows = []
    for parent, tuned in pairs(runs):
        found = compare(read(parent), read(tuned), formula, tuned, bootstrap=bootstrap, seed=seed)
        ends = {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        rows.append({**tuned.key.columns(), **tuned.extent(), **ends})
    ends = [name, f"{name}_low", f"{name}_high"]
    return pd.DataFrame(rows, columns=[*runs_columns(), "n_tokens", "n_documents", *ends])


def compare(
    before: pd.DataFrame,
    after: pd.DataFrame,
    formula: Formula,
    tuned: Run,
    *,
    bootstrap: int,
    seed: int,
) -> Estimate:
    """Return a number formed from two measurements of the same documents, with its interval."""
    same = len(before) == len(after) and all(
        np.array_equal(before[column], after[column])
        for column in ("document", "tokens", "predictions")
        if column in before
    )
    if not same:
        raise DataError(
            "two SAEs were measured on different documents, so they cannot be compared in pairs",
            where=f"{tuned.key.sae}~{tuned.key.method}",
            expected=f"the {len(before)} documents of {tuned.key.sae}",
            got=f"{len(after)} documents",
        )
    columns = {f"parent_{name}": before[name].to_numpy() for name in before}
    columns |= {f"tuned_{name}": after[name].to_numpy() for name in after}
    columns = {name: values for name, values in columns.items() if not name.endswith("_document")}
    found = estimates({"it": formula}, columns, constants={}, samples=bootstrap, seed=seed)
    return found["it"]
