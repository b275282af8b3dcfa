"""Which speeds a plan's time depends on. Read `wanted_of`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from saeflow.cost.cost import Known
from saeflow.cost.shapes import Shape
from saeflow.cost.speeds import block_key, step_key, training_key
from saeflow.plan.job import Job


class Wanted(NamedTuple):
    """What the jobs of a plan will do, each thing once.

    Attributes
    ----------
    forward : dict
        `block_key` -> shape, number of blocks, sequence length, tokens of a batch.
    training : dict
        `training_key` -> shape, settings of the training, sequence length.
    steps : dict
        `step_key` -> settings of the recipe, width of the activations.
    """

    forward: dict[str, tuple[Shape, int, int, int]]
    training: dict[str, tuple[Shape, Mapping[str, Any], int]]
    steps: dict[str, tuple[Mapping[str, Any], int]]

    def __len__(self) -> int:
        """Return the number of measurements."""
        return len(self.forward) + len(self.training) + len(self.steps) + 2


def wanted_of(jobs: Iterable[Job], estimator: Known) -> Wanted:
    """Return what to measure for some jobs.

    Parameters
    ----------
    jobs
        Those that are to run.
    estimator
        What is known of models and tokens.
    """
    wanted = Wanted({}, {}, {})
    for job in jobs:
        if job.rule == "train_lm":
            shape = estimator.shape(job)
            length = job.inputs["tokens"].settings["context_length"]
            key = training_key(shape)
            wanted.training[key] = (shape, job.settings, length)
        if job.rule == "harvest_activations":
            _add_forward(wanted, job, estimator)
        if job.rule in ("train_sae", "finetune_sae"):
            recipe = (job.inputs["parent"] if "parent" in job.inputs else job).settings
            if job.inputs["activations"].settings.get("live"):
                _add_forward(wanted, job.inputs["activations"], estimator)
            shape = estimator.shape(job.inputs["activations"].inputs["model"])
            if shape is not None and "architecture" in recipe:
                batch = job.settings.get("batch_size") or recipe.get("batch_size") or 1024
                settings = {**recipe, "batch_size": batch}
                key = step_key(settings, shape.d_model)
                wanted.steps.setdefault(key, (settings, shape.d_model))
    return wanted


def _add_forward(wanted: Wanted, job: Job, estimator: Known) -> None:
    """Ask for a pass through as many blocks as any hook of a model needs."""
    shape = estimator.shape(job.inputs["model"])
    if shape is None or "model_type" not in shape.config:
        return
    n_blocks = min(int(job.settings["hook"].rpartition(".")[2]) + 1, shape.n_layers)
    length = min(job.inputs["tokens"].settings["context_length"], shape.positions)
    key = block_key(shape)
    if key not in wanted.forward or wanted.forward[key][1] < n_blocks:
        wanted.forward[key] = (shape, n_blocks, length, job.settings["batch_tokens"])
