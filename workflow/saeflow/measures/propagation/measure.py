"""What becomes of SAEs' errors in later layers, as a job: from records to sums on disk.

`saeflow.measures.propagation.following` is the measurement itself. Read `measure_propagation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from saeflow import device
from saeflow.measures.encoders import finish_each, load_for_model
from saeflow.measures.propagation.following import Placed, Propagated, propagate
from saeflow.measures.reconstruction import SPLIT
from saeflow.measures.sums import write_table
from saeflow.metrics.propagation import PAIRS, QUANTITIES, RATIOS, WAYS
from saeflow.models.hooks import Hook
from saeflow.task import Task
from saeflow.tokens.sequences import sequences_of
from saeflow.tokens.store import open_tokens
from saeflow.work import published


def measure_propagation(tasks: Sequence[Task]) -> None:
    """Measure SAEs of all hooks of a model and finish their tasks.

    Inputs: ``sae``, ``others`` (SAEs at later hooks), ``model`` and ``tokens``. Works get
    ``documents.parquet``, ``pairs.parquet`` (sums per document, with ``hook`` and ``sae`` of the
    later SAE) and ``ratios.parquet`` (counts of ratios by bin).
    """
    from saeflow.models.load import load_model_once

    inputs, machine = tasks[0].inputs, device.pick()
    places: dict[Path, int] = {}
    saes: list[Placed] = []
    upstream: dict[int, list[int]] = {}
    by_place: dict[int, Task] = {}
    for task in tasks:
        with task.attempt():
            for record in map(Path, (task.inputs["sae"], *task.inputs["others"])):
                if record not in places:
                    saes.append(_load(record, inputs["model"], machine))
                    places[record] = len(saes) - 1
            own = places[Path(task.inputs["sae"])]
            upstream[own] = [places[Path(other)] for other in task.inputs["others"]]
            by_place[own] = task
    if not upstream:
        return
    model = load_model_once(inputs["model"], machine)
    tokens = sequences_of(open_tokens(inputs["tokens"]), SPLIT).first(tasks[0].settings["tokens"])
    found = propagate(model, saes, upstream, tokens, machine)
    finish_each((by_place[place] for place in found), found.values(), _write)


def _load(record: Path, model: Path, machine: torch.device) -> Placed:
    hook, name = published(record).parts[-4:-2]
    return Placed(Hook.parse(hook), name, load_for_model(record, model, machine, hook=hook))


def _write(task: Task, result: Propagated) -> None:
    write_table(task.work.path / "documents.parquet", result.documents)
    pairs = [{"hook": str(o.hook), "sae": o.name, **sums} for o, sums, _ in result.pairs]
    write_table(task.work.path / PAIRS, _stacked(pairs))
    write_table(task.work.path / RATIOS, _stacked(_counts_of(result)))
    task.finish(
        {
            "n_tokens": int(result.documents["tokens"].sum()),
            "n_documents": len(result.documents["document"]),
        }
    )


def _counts_of(result: Propagated) -> Iterator[dict[str, Any]]:
    for later, _, bins in result.pairs:
        for (number, place), counts in np.ndenumerate(bins.any(axis=-1)):
            if counts:
                names = {"quantity": QUANTITIES[number], "way": WAYS[place]}
                (found,) = bins[number, place].nonzero()
                own = {"bin": found, "tokens": bins[number, place][found]}
                yield {"hook": str(later.hook), "sae": later.name, **names, **own}


def _stacked(parts: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Put columns of several tables one under the other; names are repeated in each row."""
    return pd.concat([pd.DataFrame(), *map(pd.DataFrame, parts)])
