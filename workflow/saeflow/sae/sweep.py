"""Train many SAEs of one hook in one process, over shared batches. Read `train_sweep`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saeflow.activations.loader import Loader
from saeflow.activations.reader import Store, open_store
from saeflow.errors import SaeflowError
from saeflow.files import read_json
from saeflow.sae import passes
from saeflow.sae.settings import RunSettings
from saeflow.sae.train import SAETask
from saeflow.sae.trainee import Task, Trainee
from saeflow.work import Work

logger = logging.getLogger(__name__)

SPLIT = "train"
# What an SAE says of where its activations come from: keys of their record.
_ORIGIN = ("hook", "model", "tokenizer", "tokens", "context_length")
# What tells activations of another hook or model apart: a fingerprint, also from the record.
_FINGERPRINT = ("identity", "rms", "mean_norm")


def train_sweep(
    works: Sequence[tuple[Work, Mapping[str, Any]]],
    activations_record: Path,
    *,
    checkpoint_s: float = passes.CHECKPOINT_S,
) -> None:
    """Train an SAE for each unfinished work, all in one pass over the activations.

    Each SAE is bit-identical to one trained alone with the same number of threads, however often
    either run was killed and started again.

    Parameters
    ----------
    works
        Places and resolved settings; the first is the job's own, the others its companions.
    activations_record
        results/activations/.../{hook}.json.
    checkpoint_s
        Seconds between two checkpoints.

    Raises
    ------
    SaeflowError
        The failure of the first work. That of a companion is logged: its own job meets it.
    """
    facts = read_json(activations_record)
    header = activations_header(facts)

    def maker(settings: Mapping[str, Any]) -> Callable[[], SAETask]:
        return lambda: SAETask(settings, d_in=facts["d_model"], header=header)

    makers = [(work, maker(settings)) for work, settings in works]
    run_tasks(makers, activations_record, checkpoint_s=checkpoint_s)


def activations_header(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an SAE carries on of the record of its activations."""
    fingerprint = {name: facts[name] for name in _FINGERPRINT}
    return {**{name: facts[name] for name in _ORIGIN}, "activations": fingerprint}


def run_tasks(
    makers: Sequence[tuple[Work, Callable[[], Task]]],
    activations_record: Path,
    *,
    checkpoint_s: float,
) -> None:
    """Fit the tasks of one hook in one pass; raise the failure of the first.

    Parameters
    ----------
    makers
        Places, and what makes each task. A task has, besides what `Task` says, ``run`` (its
        `RunSettings`), ``d_in`` and ``d_sae``.
    activations_record
        results/activations/.../{hook}.json.
    checkpoint_s
        Seconds between two checkpoints.
    """
    makers = [(work, make) for work, make in makers if not work.finished]
    if not makers:
        return
    with open_store(activations_record) as store:
        trainees = _trainees(makers, Loader(store, SPLIT, batch_size=1, seed=0).n_rows)
        failures = passes.run(
            trainees, _loader_of(store), hook=store.hook, checkpoint_s=checkpoint_s
        )
    for trainee, error in failures.items():
        if trainee is trainees[0]:
            raise error


def _trainees(makers: Sequence[tuple[Work, Callable[[], Task]]], n_available: int) -> list[Trainee]:
    """Return the planned trainees, without companions that cannot start."""
    trainees: list[Trainee] = []
    for work, make in makers:
        try:
            task = make()
            trainee = Trainee(work, task, task.run, d_in=task.d_in, d_sae=task.d_sae)
            trainee.plan(n_available)
        except SaeflowError as error:
            if not trainees:
                raise
            logger.error("%s is left to its own job: %s", work.output, error)
        else:
            trainees.append(trainee)
    return trainees


def _loader_of(store: Store) -> passes.OpenLoader:
    """Return what opens a loader over the training split of ``store``."""

    def open_loader(run: RunSettings, epochs: int, start: dict[str, Any] | None) -> Loader:
        options = {} if run.window_rows is None else {"window_rows": run.window_rows}
        return Loader(
            store,
            SPLIT,
            batch_size=run.batch_size,
            seed=run.order_seed,
            epochs=epochs,
            start=start,
            **options,
        )

    return open_loader
