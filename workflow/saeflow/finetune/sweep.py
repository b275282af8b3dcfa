"""Fine-tune SAEs of one hook in one process, over shared batches. Read `finetune_sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saeflow import registry
from saeflow.sae.training.passes import CHECKPOINT_S
from saeflow.sae.training.sweep import each_group
from saeflow.task import Task

SOLVERS = "finetune.solvers"


def finetune_sweep(tasks: Sequence[Task], *, checkpoint_s: float = CHECKPOINT_S) -> None:
    """Fine-tune the SAE of each unfinished task, in one pass over the activations per solver.

    Each result is bit-identical to one computed alone with the same number of threads, however
    often either run was killed and started again. One that fails leaves the others alone.

    The tasks' ``solver`` is a module of `saeflow.finetune.solvers`; their inputs are
    ``activations``, results/activations/.../{hook}.json; ``parent``, the record of the SAE to start
    from; for "kl_mse" also ``model`` and ``tokens``. ``checkpoint_s``: seconds between two
    checkpoints.
    """
    each_group(
        tasks,
        _shared,
        lambda group, shared: registry.load(SOLVERS, shared[0]).run(
            group, checkpoint_s=checkpoint_s
        ),
    )


def _shared(task: Task) -> tuple[str | Path, ...]:
    """Return the solver of a task and all that it reads besides its parent."""
    names = sorted(set(task.inputs) - {"parent"})
    return task.settings["solver"], *(task.inputs[name] for name in names)
