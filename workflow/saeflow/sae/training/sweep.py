"""Train many SAEs of one hook in one process, over shared batches. Read `train_sweep`.

Baselines, which take no steps, are fitted there too.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from saeflow import registry
from saeflow.activations.loader import Loader
from saeflow.activations.mixing import predict
from saeflow.activations.reader import Store, open_store
from saeflow.config.training import Training
from saeflow.device import pick
from saeflow.errors import StoreError
from saeflow.files import read_json
from saeflow.sae.baselines import BASELINES
from saeflow.sae.training import passes
from saeflow.sae.training.baseline import fit_baseline
from saeflow.sae.training.descent import Objective
from saeflow.sae.training.rows import SPLIT, Pairs, TrainingRows, kept_rows, require_pair
from saeflow.sae.training.train import SAEObjective, recipe_of
from saeflow.sae.training.trainee import Trainee
from saeflow.task import Task, attempting, joined
from saeflow.tokens.flags import POLICY

logger = logging.getLogger(__name__)

# What an SAE says of where its activations come from: keys of their record.
_ORIGIN = ("hook", "model", "tokenizer", "tokens", "context_length")
# What tells activations of another hook or model apart: a fingerprint, also from the record.
_FINGERPRINT = ("identity", "rms", "mean_norm")
_BLOCK_ROWS = 8192


def train_sweep(tasks: Sequence[Task], *, checkpoint_s: float = passes.CHECKPOINT_S) -> None:
    """Train the SAE of each unfinished task, in one pass over a part of the rows of each target.

    Each SAE is bit-identical to one trained alone with the same number of threads, however often
    either run was killed and started again. One that fails leaves the others alone.

    The tasks' inputs are ``activations``, results/activations/.../{hook}.json; of a transcoder also
    ``target``, the same of the hook that it predicts; of a crosscoder those of the hooks that it
    joins, ``joined_01`` and so on. ``checkpoint_s``: seconds between two checkpoints.
    """
    each_group(
        tasks,
        lambda task: (
            task.inputs["activations"],
            task.inputs.get("target"),
            joined(task.inputs),
            task.settings.get("part"),
        ),
        lambda group, shared: _train(group, *shared, checkpoint_s),
    )


def each_group(
    tasks: Sequence[Task],
    key: Callable[[Task], tuple],
    run: Callable[[list[Task], tuple], None],
) -> None:
    """Run the unfinished tasks of each key, in the order of the keys.

    ``key`` is what tasks must have in common to be run together; where ``run`` raises, they fail.
    """
    groups: dict[tuple, list[Task]] = defaultdict(list)
    for task in tasks:
        if not task.finished:
            groups[key(task)].append(task)
    for shared in sorted(groups, key=lambda shared: tuple(map(str, shared))):
        with attempting(groups[shared]):
            run(groups[shared], shared)


def _train(
    tasks: list[Task],
    activations: Path,
    target: Path | None,
    others: tuple[Path, ...],
    part: str | None,
    checkpoint_s: float,
) -> None:
    """Train those that read the same rows of the same activations and predict the same ones."""
    rows, objective, combine = TrainingRows(activations, target, part), SAEObjective, Pairs
    beside = others if target is None else (target,)
    header = activations_header(read_json(activations))
    if target is not None:
        facts = activations_header(read_json(target))
        header["target"] = {"hook": facts["hook"], **facts["activations"]}
    if others:  # by name: no code of other SAEs
        crosscoders = registry.load("sae.training", "joined")
        rows = crosscoders.JoinedRows((activations, *others), part)
        objective, combine = crosscoders.CrosscoderObjective, crosscoders.Joined
        of_each = [activations_header(read_json(record)) for record in (activations, *others)]
        header["joined"] = [{name: one[name] for name in _ORIGIN[:2]} for one in of_each]
    to_train = []
    for task in tasks:
        if task.settings["architecture"] in BASELINES:
            with task.attempt():
                fit_baseline(task, rows, header)
        else:
            to_train.append(task)

    known: dict[str, Any] = {}

    def make(task: Task, stores: Sequence[Store]) -> SAEObjective:
        found = None
        if recipe_of(task.settings).wished_l0 is not None:
            # by name: what looks for a coefficient is no code of SAEs that have one
            search = registry.load("sae.training", "target_l0")
            opened = loader_of(stores, part, combine, tell=False)
            found = search.find(task, stores, known, rows=rows, header=header,
                                open_loader=opened, objective=objective)  # fmt: skip
        return objective(task.settings, rows=rows, header=header, found=found)

    fit(to_train, make, activations, beside=beside, combine=combine, part=part,
        checkpoint_s=checkpoint_s)  # fmt: skip


def activations_header(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an SAE carries on of the record of its activations."""
    fingerprint = {name: facts[name] for name in _FINGERPRINT}
    origin = {name: facts[name] for name in _ORIGIN}
    return {**origin, "activations": fingerprint, "excluded_tokens": list(POLICY)}


def fit(
    tasks: Sequence[Task],
    make: Callable[[Task, Sequence[Store]], Objective],
    activations: Path,
    *,
    beside: Sequence[Path] = (),
    combine: Callable[[Sequence[Loader]], Any] = Pairs,
    part: str | None = None,
    checkpoint_s: float,
) -> None:
    """Fit what the tasks ask for, unfinished ones, in one pass over ``activations``, a record.

    ``make`` returns the objective of a task, given the stores that are read: of ``beside``, records
    of further hooks, the same rows, of which ``combine`` makes one loader. ``part`` as of
    `TrainingRows`.
    """
    if not tasks:
        return
    with ExitStack() as stack:
        stores = [stack.enter_context(open_store(record)) for record in (activations, *beside)]
        for other in stores[1:]:
            require_pair(stores[0], other)
        passes.run(
            plan_trainees(tasks, lambda task: make(task, stores), len(kept_rows(stores[0], part))),
            loader_of(stores, part, combine),
            hook=stores[0].hook,
            checkpoint_s=checkpoint_s,
            find_damage=lambda: _damage(stores, part),
        )


def plan_trainees(
    tasks: Sequence[Task], make: Callable[[Task], Objective], n_available: int
) -> list[Trainee]:
    """Return the planned trainees of the tasks that can start; the others fail."""
    trainees = []
    for task in tasks:
        with task.attempt():
            trainees.append(Trainee(task, make(task), n_available))
    return trainees


def loader_of(
    stores: Sequence[Store],
    part: str | None = None,
    combine: Callable[[Sequence[Loader]], Any] = Pairs,
    *,
    tell: bool = True,
) -> passes.OpenLoader:
    """Return what opens a loader over the training split, or a part, of a store, or of several.

    ``combine`` makes one of several; ``tell``: log how well it mixes.
    """

    def open_loader(run: Training, epochs: int, start: dict[str, Any] | None) -> Any:
        loaders = [
            Loader(
                store,
                SPLIT,
                batch_size=run.batch_size,
                seed=run.order_seed,
                epochs=epochs,
                start=start,
                part=part,
                chunk_rows=stores[0].activations.chunk_rows,
                device=pick(),
            )
            for store in stores
        ]
        if tell:
            logger.info("%s: %s", stores[0].hook, predict(loaders[0].order, run.batch_size))
        return loaders[0] if len(loaders) == 1 else combine(loaders)

    return open_loader


def _damage(stores: Sequence[Store], part: str | None) -> str:
    """Say which is the first training row that is not finite, and where; "" for none."""
    for store in stores:
        kept = kept_rows(store, part)
        for start in range(0, len(kept), _BLOCK_ROWS):
            try:
                store.activations.tensor(torch.from_numpy(kept[start : start + _BLOCK_ROWS]))
            except StoreError as error:
                return str(error.got)
    return ""
