"""Gradient steps over shared batches, as in training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from saeflow.finetune.tune import TuneObjective, load_parent
from saeflow.sae.training.sweep import fit
from saeflow.task import Task


def run(tasks: Sequence[Task], *, checkpoint_s: float) -> None:
    """Fine-tune the SAE of each task; see `saeflow.finetune.sweep.finetune_sweep`."""
    activations, load = tasks[0].inputs["activations"], cache(load_parent)

    def make(task: Task, _stores: object) -> TuneObjective:
        return TuneObjective(task, load(task.inputs["parent"], activations))

    fit(tasks, make, activations, checkpoint_s=checkpoint_s)
