"""Fine-tune SAEs of one hook in one process, over shared batches. Read `finetune_sweep`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saeflow.device import pick
from saeflow.finetune.tune import TuneTask
from saeflow.sae.passes import CHECKPOINT_S
from saeflow.sae.sweep import run_tasks
from saeflow.work import Work


def finetune_sweep(
    works: Sequence[tuple[Work, Mapping[str, Any], Path]],
    activations_record: Path,
    *,
    checkpoint_s: float = CHECKPOINT_S,
) -> None:
    """Fine-tune an SAE for each unfinished work, all in one pass over the activations.

    Each result is bit-identical to one computed alone with the same number of threads, however
    often either run was killed and started again.

    Parameters
    ----------
    works
        Places, resolved settings and the record of the SAE to start from; the first is the job's
        own, the others its companions.
    activations_record
        results/activations/.../{hook}.json.
    checkpoint_s
        Seconds between two checkpoints.

    Raises
    ------
    SaeflowError
        The failure of the first work. That of a companion is logged: its own job meets it.
    """
    device = pick()

    def maker(settings: Mapping[str, Any], parent: Path) -> Callable[[], TuneTask]:
        return lambda: TuneTask(settings, parent, activations=activations_record, device=device)

    makers = [(work, maker(settings, parent)) for work, settings, parent in works]
    run_tasks(makers, activations_record, checkpoint_s=checkpoint_s)
