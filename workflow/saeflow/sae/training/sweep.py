"""Train many SAEs of one hook in one process, over shared batches. Read `train_sweep`.

Baselines, which take no steps, are fitted there too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from saeflow import registry
from saeflow.activations.layout import ARRAY, read_layout, shard_name
from saeflow.activations.loader import Loader
from saeflow.activations.mixing import predict
from saeflow.activations.reader import Store, open_store
from saeflow.device import pick
from saeflow.errors import SaeflowError
from saeflow.files import read_json
from saeflow.sae.settings import RunSettings
from saeflow.sae.training import passes
from saeflow.sae.training.baseline import BASELINES, fit_baseline
from saeflow.sae.training.pairs import Pairs, require_pair
from saeflow.sae.training.rows import SPLIT, TrainingRows, kept_rows
from saeflow.sae.training.train import SAETask
from saeflow.sae.training.trainee import Task, Trainee
from saeflow.tokens.flags import POLICY
from saeflow.work import Work

logger = logging.getLogger(__name__)

# What an SAE says of where its activations come from: keys of their record.
_ORIGIN = ("hook", "model", "tokenizer", "tokens", "context_length")
# What tells activations of another hook or model apart: a fingerprint, also from the record.
_FINGERPRINT = ("identity", "rms", "mean_norm")
_BLOCK_ROWS = 8192


def train_sweep(
    works: Sequence[tuple[Work, Mapping[str, Any]]],
    activations_record: Path,
    *,
    target_record: Path | None = None,
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
    target_record
        The same of the hook that transcoders predict; None for autoencoders.
    checkpoint_s
        Seconds between two checkpoints.

    Raises
    ------
    SaeflowError
        The failure of the first work. That of a companion is logged: its own job meets it.
    """
    header = activations_header(read_json(activations_record))
    if target_record is not None:
        target = activations_header(read_json(target_record))
        header["target"] = {"hook": target["hook"], **target["activations"]}
    rows = TrainingRows(activations_record, target_record)

    def maker(settings: Mapping[str, Any]) -> Callable[[], SAETask]:
        return lambda: SAETask(settings, rows=rows, header=header)

    baselines = registry.names(BASELINES)
    makers, failure = [], None
    for number, (work, settings) in enumerate(works):
        if settings["architecture"] not in baselines:
            makers.append((work, maker(settings)))
        elif not work.finished:
            try:
                fit_baseline(work, settings, rows, header)
            except SaeflowError as error:
                logger.error("%s: %s", work.output, error)
                failure = failure or (error if number == 0 else None)
    run_tasks(makers, activations_record, target_record=target_record, checkpoint_s=checkpoint_s)
    if failure:
        raise failure


def activations_header(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an SAE carries on of the record of its activations."""
    fingerprint = {name: facts[name] for name in _FINGERPRINT}
    origin = {name: facts[name] for name in _ORIGIN}
    return {**origin, "activations": fingerprint, "excluded_tokens": list(POLICY)}


def run_tasks(
    makers: Sequence[tuple[Work, Callable[[], Task]]],
    activations_record: Path,
    *,
    target_record: Path | None = None,
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
    target_record
        The same of the hook whose activations are the targets; None for the hook itself.
    checkpoint_s
        Seconds between two checkpoints.
    """
    makers = [(work, make) for work, make in makers if not work.finished]
    if not makers:
        return
    with ExitStack() as stack:
        stores = [
            stack.enter_context(open_store(record))
            for record in (activations_record, target_record)
            if record is not None
        ]
        if len(stores) == 2:
            require_pair(*stores)
        trainees = plan_trainees(makers, len(kept_rows(stores[0])))
        failures = passes.run(
            trainees,
            _loader_of(stores),
            hook=stores[0].hook,
            checkpoint_s=checkpoint_s,
            find_damage=lambda: _damage(stores),
        )
    for trainee, error in failures.items():
        if trainee is trainees[0]:
            raise error


def plan_trainees(
    makers: Sequence[tuple[Work, Callable[[], Task]]], n_available: int
) -> list[Trainee]:
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


def _loader_of(stores: Sequence[Store]) -> passes.OpenLoader:
    """Return what opens a loader over the training split of a store, or of a pair."""

    def open_loader(run: RunSettings, epochs: int, start: dict[str, Any] | None) -> Loader | Pairs:
        options = {} if run.window_rows is None else {"window_rows": run.window_rows}
        loaders = [
            Loader(
                store,
                SPLIT,
                batch_size=run.batch_size,
                seed=run.order_seed,
                epochs=epochs,
                start=start,
                device=pick(),
                **options,
            )
            for store in stores
        ]
        logger.info("%s: %s", stores[0].hook, predict(loaders[0].order, run.batch_size))
        return loaders[0] if len(loaders) == 1 else Pairs(loaders)

    return open_loader


def _damage(stores: Sequence[Store]) -> str:
    """Say which is the first training row that is not finite, and in which shard; "" for none."""
    for store in stores:
        kept = kept_rows(store)
        for start in range(0, len(kept), _BLOCK_ROWS):
            rows = torch.from_numpy(kept[start : start + _BLOCK_ROWS])
            bad = (~store.activations.tensor(rows).isfinite()).any(1)
            if bool(bad.any()):
                row = int(rows[bad][0])
                return f"NaN or infinity in row {row:,} of {store.hook}{_shard(store, row)}"
    return ""


def _shard(store: Store, row: int) -> str:
    """Name the file that a row lies in, where it lies in one."""
    array = store.path / ARRAY
    layout = read_layout(array)[0] if (array / "zarr.json").is_file() else None
    return "" if layout is None else f", shard {array / shard_name(row // layout.shard_rows)}"
