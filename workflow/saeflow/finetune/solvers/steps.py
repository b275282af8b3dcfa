"""Gradient steps over shared batches, as in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saeflow.device import pick
from saeflow.finetune.tune import TuneTask
from saeflow.sae.training.sweep import run_tasks
from saeflow.work import Work


def run(
    works: Sequence[tuple[Work, Mapping[str, Any], Path]],
    activations_record: Path,
    *,
    checkpoint_s: float,
) -> None:
    """Fine-tune an SAE for each unfinished work; see `saeflow.finetune.sweep.finetune_sweep`."""
    device = pick()

    def maker(settings: Mapping[str, Any], parent: Path) -> Callable[[], TuneTask]:
        return lambda: TuneTask(settings, parent, activations=activations_record, device=device)

    makers = [(work, maker(settings, parent)) for work, settings, parent in works]
    run_tasks(makers, activations_record, checkpoint_s=checkpoint_s)
