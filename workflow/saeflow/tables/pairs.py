"""Fine-tuned SAEs beside their parents, compared document by document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from saeflow.errors import DataError
from saeflow.metrics.intervals import Estimate, form
from saeflow.metrics.metric import Formula
from saeflow.tables.runs import DOCUMENT, ORIGINAL, Run

_COUNTS = ("tokens", "predictions")


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


def compare(
    parent: Run, tuned: Run, measure: str, formula: Formula, *, bootstrap: int = 0, seed: int = 0
) -> Estimate:
    """Form a number from the sums of two runs that were measured on the same documents.

    The formula knows these as "parent_<sum>" and "tuned_<sum>". In a resample both have the same
    documents.
    """
    before, after = (run.documents(measure) for run in (parent, tuned))
    same = len(before) == len(after) and all(
        np.array_equal(before[column], after[column])
        for column in (DOCUMENT, *_COUNTS)
        if column in before
    )
    if not same:
        raise DataError(
            "two SAEs were measured on different documents, so they cannot be compared in pairs",
            where=f"{tuned.key.sae}~{tuned.key.method}",
            expected=f"the {len(before)} documents of {parent.key.sae}~{parent.key.method}",
            got=f"{len(after)} documents",
        )
    both = [
        {f"parent_{name}": values for name, values in of_parent.items()}
        | {f"tuned_{name}": values for name, values in of_tuned.items()}
        for of_parent, of_tuned in zip(
            *(run.records[measure].sums(bootstrap, seed) for run in (parent, tuned)), strict=True
        )
    ]
    return form(formula, *both)
