"""Whether gradient steps reached what the closed form says is there to reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.tables.columns import runs_columns
from saeflow.tables.latents import activity, is_live
from saeflow.tables.pairs import compare, measured_and_trained, pairs
from saeflow.tables.runs import Key, Run
from saeflow.tables.suppression.tuning_curves import EXACT

READS = ("reconstruction", "sae")
COLUMNS = (
    "steps", "fit", "ridge", "excess", "excess_low", "excess_high", "row_difference", "n_live",
    "n_tokens", "n_documents",
)  # fmt: skip


def build(runs: Sequence[Run], *, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return one row per closed form and SAE that gradient steps fitted in the same weights.

    ``excess`` is mse_steps / mse_exact - 1 on the evaluated documents, in pairs; below zero where
    the steps generalise better. ``row_difference`` is the median over the parent's live latents
    of |w_steps - w_exact| / |w_exact|, w a decoder row.
    """
    measured, trained = measured_and_trained(runs)
    rows = []
    for parent, exact, steps in _families(measured, trained):
        found = compare(
            steps.read_documents(), exact.read_documents(), _excess, steps,
            bootstrap=bootstrap, seed=seed,
        )  # fmt: skip
        live = is_live(
            activity(parent.read_latents(), parent.extent()["n_tokens"])["log10_frequency"]
        )
        record = trained[exact.key.training].records["sae"]
        rows.append(
            {
                **exact.key.columns(),
                "steps": steps.key.method,
                "fit": record["settings"]["method"],
                "ridge": record["training"]["ridge"],
                "excess": found.value,
                "excess_low": found.low,
                "excess_high": found.high,
                "row_difference": _row_difference(
                    *(trained[run.key.training].read_decoder()[live] for run in (steps, exact))
                ),
                "n_live": int(live.sum()),
                **exact.extent(),
            }
        )
    return pd.DataFrame(rows, columns=[*runs_columns(), *COLUMNS])


def _families(
    measured: Sequence[Run], trained: Mapping[Key, Run]
) -> Iterator[tuple[Run, Run, Run]]:
    """Yield parent, closed form and each SAE that steps fitted in the same weights."""

    def settings(run: Run) -> Mapping[str, object]:
        return trained[run.key.training].records["sae"]["settings"]

    tuned = list(pairs(measured))
    for parent, exact in tuned:
        if settings(exact)["solver"] != EXACT:
            continue
        for other, steps in tuned:
            same = other is parent and settings(steps)["method"] == settings(exact)["method"]
            if same and settings(steps)["solver"] != EXACT:
                yield parent, exact, steps


def _excess(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    return sums["parent_squared_error"] / sums["tuned_squared_error"] - 1


def _row_difference(steps: np.ndarray, exact: np.ndarray) -> float:
    if not len(exact):
        return float("nan")
    distance = np.linalg.norm(steps - exact, axis=1) / np.linalg.norm(exact, axis=1)
    return float(np.median(distance))
