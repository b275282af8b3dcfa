"""What is told of a study's SAEs beside the post's numbers: values by SAE, trends over layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from saeflow.metrics.registry import measure_of
from saeflow.studies.claims import Values
from saeflow.studies.reconstruction import post
from saeflow.studies.reconstruction.context.tables import summary
from saeflow.studies.reconstruction.propagation.tables import propagation
from saeflow.tables.runs import SAE, Run

SERIES = ["model", "packing", "sae", "seed"]
"""What SAEs at several layers have in common."""
_SLIP = "published"  # sums and metrics of what the published code computed


def is_of_post(run: Run) -> bool:
    """Whether an SAE is one of the post's; one of a shorter context, trained here, is none."""
    return SAE in run.records and run.sae.get("settings", {}).get("hub") in post.HUBS


def _about(run: Run) -> dict[str, object]:
    return {**run.key.columns(), "packing": run.key.packing, "of_post": is_of_post(run)}


def values_of(saes: Sequence[Run], kind: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Return a row per SAE (and prompt set) with the metrics of a measure."""
    own = [name for name in metrics if measure_of(name).name == kind]
    rows = []
    for run in saes:
        if kind in run.records:
            table = run.documents(kind)
            given = [n for n in own if _SLIP in table or not n.startswith(_SLIP)]
            estimates = run.estimates(given)
            asked = {"prompts": run.key.eval_dataset, "kind": run.records[kind].facts.get("kind")}
            rows.append({**_about(run), **asked, **{n: e.value for n, e in estimates.items()}})
    return _frame(rows, [*own, "prompts", "kind"])


def positions_of(saes: Sequence[Run], metrics: Sequence[str]) -> pd.DataFrame:
    """Return a row per SAE with metrics within and beyond the trained context."""
    own = [name for name in metrics if measure_of(name).name == "positions"]
    runs = [run for run in saes if "positions" in run.records]
    if not runs:
        return _frame([], [*own, "training_context", "border"])
    table = summary(runs, metrics=own)
    return table.assign(of_post=[is_of_post(run) for run in runs])


def propagation_of(saes: Sequence[Run]) -> pd.DataFrame:
    """Return a row per pair of SAEs, quantity and way."""
    runs = [run for run in saes if "propagation" in run.records]
    wanted = ["later_block", "quantity", "way", "change", "published_change"]
    if not runs:
        return _frame([], wanted)
    table = propagation(runs, metrics=())
    post_saes = {run.key.columns()["sae"] for run in runs if is_of_post(run)}
    return table.assign(packing="", of_post=table["sae"].isin(post_saes))


def _frame(rows: Sequence[Mapping[str, object]], wanted: Sequence[str]) -> pd.DataFrame:
    keys = ["model", "hook", "block", "sae", "seed", "packing", "of_post"]
    found = pd.DataFrame(rows)
    return found if len(found) else pd.DataFrame(columns=[*keys, *wanted]).astype({"of_post": bool})


def by_sae(table: pd.DataFrame, value: str) -> pd.Series:
    """Return a column by SAE (and prompt set)."""
    names = [n for n in (*SERIES, "hook", "prompts") if n in table]
    return table.set_index(names)[value].astype(float)


def trends(table: pd.DataFrame, value: str) -> Values:
    """Return the rank correlation with the layer, over series of SAEs of at least three layers."""
    return Values.trends(table, value, [n for n in (*SERIES, "prompts") if n in table])
