"""Probes on the states of hooks, as a job: from records to fits. Read `measure_dense_probes`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saeflow.labelled.labelled import Labelled, read_labelled
from saeflow.measures.states import open_states
from saeflow.probing.draws import NORMAL, SETTINGS
from saeflow.probing.methods import at_pooling, methods_of
from saeflow.probing.probe import Input, Unit, probe, tasks_of, units_of, write_probes
from saeflow.task import Task

STATES, CENTRED = "states", "centred"
"""Inputs: a hook's activations; and these less their mean over the width, on each token: what
TransformerLens has of a model with a LayerNorm."""


def measure_dense_probes(tasks: Sequence[Task]) -> None:
    """Fit probes to the states of some hooks, on all tasks of their texts, and finish the tasks.

    Parameters
    ----------
    tasks
        Of one pass. Inputs ``states`` and ``labelled``; settings of
        `saeflow.config.sections.Probing`. Works get ``fits.parquet`` and ``scores.parquet``.
    """
    settings = tasks[0].settings
    known = {path: read_labelled(path) for path in {task.inputs["labelled"] for task in tasks}}
    units = _units(tasks, known, settings)
    found = probe(units, settings, n_jobs=n_jobs(), desc="probes of states")
    for place, task in enumerate(tasks):
        if task.error is None:
            with task.attempt():
                facts = write_probes(task.work.path, found.get(place))
                task.finish({"tasks": tasks_of(known[task.inputs["labelled"]]), **facts})


def _units(
    tasks: Sequence[Task], known: Mapping[Path, Labelled], settings: Mapping[str, Any]
) -> Iterator[Unit]:
    of = settings["states"]
    methods = {setting: methods_of(of[setting], settings, ks=of["ks"]) for setting in SETTINGS}
    of_centred = {NORMAL: methods_of(of["centred"], settings)}
    for place, task in enumerate(tasks):
        with task.attempt():
            states = open_states(task.inputs["states"])
            for pooling in states.poolings:
                own = at_pooling(methods, first=pooling == states.poolings[0])
                x, there = states.pooled(pooling), states.has(pooling)
                inputs = [Input(STATES, pooling, x, own, there)]
                inputs.append(Input(CENTRED, pooling, centred(x), of_centred, there))
                yield from units_of(place, known[task.inputs["labelled"]].tasks, inputs)


def centred(x: np.ndarray) -> np.ndarray:
    """Return activations (n, d) less their mean over d, which is taken in float64."""
    return (x - x.mean(axis=1, keepdims=True, dtype=np.float64)).astype(x.dtype)


def n_jobs() -> int:
    """Return the number of threads that the job was given."""
    return int(os.environ.get("OMP_NUM_THREADS", 1))
