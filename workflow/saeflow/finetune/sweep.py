"""Fine-tune SAEs of one hook in one process, over shared batches. Read `finetune_sweep`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saeflow import registry
from saeflow.sae.training.passes import CHECKPOINT_S
from saeflow.work import Work

SOLVERS = "finetune.solvers"


def finetune_sweep(
    works: Sequence[tuple[Work, Mapping[str, Any], Path]],
    activations_record: Path,
    *,
    checkpoint_s: float = CHECKPOINT_S,
    **inputs: Path,
) -> None:
    """Fine-tune an SAE for each unfinished work, all in one pass over the activations.

    Each result is bit-identical to one computed alone with the same number of threads, however
    often either run was killed and started again.

    Parameters
    ----------
    works
        Places, resolved settings and the record of the SAE to start from; the first is the job's
        own, the others its companions. They have one ``solver``, a module of
        `saeflow.finetune.solvers`.
    activations_record
        results/activations/.../{hook}.json.
    checkpoint_s
        Seconds between two checkpoints.
    **inputs
        Records that the solver wants besides: ``model`` and ``tokens`` of "kl_mse".

    Raises
    ------
    SaeflowError
        The failure of the first work. That of a companion is logged: its own job meets it.
    """
    works = [item for item in works if not item[0].finished]
    if works:
        solver = registry.load(SOLVERS, works[0][1]["solver"])
        solver.run(works, activations_record, checkpoint_s=checkpoint_s, **inputs)
