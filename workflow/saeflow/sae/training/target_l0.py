"""The penalty's weight of an SAE by its wished number of active latents: a task's part of it.

How it is found is in `search.py`. Loaded by name, so that it is no code of SAEs whose recipes give
the weight. Read `find`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saeflow.activations.reader import Store
from saeflow.config.shared_recipe import PenalisedRecipe
from saeflow.files import canonical_json, write_json
from saeflow.interrupt import interruptible
from saeflow.sae.saved.save import CONFIG_NAME, header_of
from saeflow.sae.training.passes import OpenLoader
from saeflow.sae.training.rows import TrainingRows, kept_rows
from saeflow.sae.training.search import Search
from saeflow.sae.training.train import SEARCH, SAEObjective, recipe_of
from saeflow.sae.training.trainee import planned_steps
from saeflow.task import Task


def find(
    task: Task,
    stores: Sequence[Store],
    known: dict[str, Any],
    *,
    rows: TrainingRows,
    header: Mapping[str, Any],
    open_loader: OpenLoader,
    objective: type[SAEObjective] = SAEObjective,
) -> dict[str, Any]:
    """Return what a search comes to for a task, as plain values for its header.

    Parameters
    ----------
    task
        Its settings have a ``target_l0`` in place of a coefficient.
    stores
        That of the activations, and of what a transcoder predicts or a crosscoder joins.
    known
        What was found and tried before for these stores; added to. SAEs that differ in their seed
        have one coefficient, which is found with seed 0; those that differ in their wish share
        trials.
    rows, header
        As the objective gets them.
    open_loader
        Opens the training's rows.
    objective
        What is trained.
    """
    if (task.work.path / CONFIG_NAME).is_file():  # trained, and not finished
        return header_of(task.work.path)["training"]["target_l0"]
    settings = {**task.settings, "seed": 0}
    recipe, key = recipe_of(settings), canonical_json(settings)
    place = f"{header['hook']} > {settings['architecture']} SAE"
    n_steps = planned_steps(recipe, len(kept_rows(stores[0], recipe.part)), where=place)

    def make(run: PenalisedRecipe) -> SAEObjective:
        return objective({**run.plain(), "seed": 0}, rows=rows, header=header)

    if key not in known:
        tried = known.setdefault(canonical_json({**settings, "target_l0": None}), {})
        with interruptible() as stop:
            search = Search(
                recipe, make, lambda run: open_loader(run, run.epochs, None), n_steps,
                task.work.path, stop, tried,
            )  # fmt: skip
            known[key] = search.find().plain()
    kept = {"n_steps": n_steps, "trials": known[key]["trials"]}
    write_json(task.work.path / SEARCH, kept)
    return known[key]
