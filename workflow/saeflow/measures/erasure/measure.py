"""Removing concepts from a model's activations and steering with them, as a job.

The parts: `concepts` (whose examples), `edits` (what is done), `concept_readers` (who still finds
the concept), `edited_texts` (what the model makes of it). Read `measure_erasure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from saeflow import device
from saeflow.errors import ModelError
from saeflow.hooks import Hook
from saeflow.logs import progress
from saeflow.measures.encoders import load_for_model
from saeflow.measures.erasure.edited_texts import EditedTexts, Outcome
from saeflow.measures.erasure.edits import Coded, Edit, dense_edits, feature_edits
from saeflow.measures.erasure.erasers import mean_difference
from saeflow.measures.erasure.prepare import Asked, Prepared, prepare
from saeflow.measures.erasure.readers import Bench, Reading
from saeflow.measures.erasure.rows import Rows
from saeflow.measures.states import LAST, open_states
from saeflow.metrics.erasure import STEERING
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE
from saeflow.task import Task, attempting
from saeflow.work import published


def measure_erasure(tasks: Sequence[Task]) -> None:
    """Edit a model's hooks with SAEs and without, and finish the tasks.

    Parameters
    ----------
    tasks
        Of one pass. Inputs: ``sae``, ``labelled``, ``states`` of the SAE's hook on these, and
        ``model`` with its ``tokenizer``, which all share. Works get what `Rows` writes.
    """
    from saeflow.models.load import load_model_once, load_tokenizer

    inputs, settings = tasks[0].inputs, tasks[0].settings
    model = load_model_once(inputs["model"], device.pick())
    tokenizer = load_tokenizer(inputs["tokenizer"])
    for of_entry in _grouped(tasks, "labelled"):
        with attempting(of_entry), threadpool_limits(1, user_api="blas"):
            hooks = list(dict.fromkeys(map(_hook, of_entry)))
            prepared = prepare(model, tokenizer, of_entry[0].inputs, settings, hooks)
            for own in progress(_grouped(of_entry, "states"), desc="erasure", unit="hooks"):
                with attempting(own):
                    _measure(own, prepared, PatchedModel(model, _hook(own[0])))


def _grouped(tasks: Sequence[Task], name: str) -> list[list[Task]]:
    groups: dict[Path, list[Task]] = {}
    for task in tasks:
        groups.setdefault(Path(task.inputs[name]), []).append(task)
    return list(groups.values())


def _hook(task: Task) -> Hook:
    return Hook.parse(published(Path(task.inputs["states"])).parts[-2])


class _Dense(NamedTuple):
    """What is measured of a concept at a hook without any SAE."""

    asked: Asked
    texts: EditedTexts
    distance: float
    done: list[tuple[Edit, Outcome, list[Reading]]]


def _measure(tasks: Sequence[Task], prepared: Prepared, patched: PatchedModel) -> None:
    """Measure the SAEs of one hook on one labelled entry."""
    machine = patched.model.device
    bench = Bench(open_states(tasks[0].inputs["states"]).pooled(LAST), prepared.read, machine)
    dense = [_dense(asked, bench, patched, tasks[0]) for asked in prepared.asked]
    for task in tasks:
        with task.attempt():
            sae = _load(task, patched.hook)
            rows, coded = Rows(), bench.coded(sae)
            for of in dense:
                edits = _feature_edits(of, bench, sae, task)
                outcomes = of.texts.under(edits, sae)
                own = [
                    (edit, outcome, _readings(edit, bench, coded))
                    for edit, outcome in zip(edits, outcomes, strict=True)
                ]
                for edit, outcome, readings in (*of.done, *own):
                    rows.add(of.asked, edit, of.distance, outcome, of.texts.n_tokens, readings)
            rows.write(task.work.path)
            task.finish(_facts(prepared, dense))


def _dense(asked: Asked, bench: Bench, patched: PatchedModel, task: Task) -> _Dense:
    settings, own = task.settings, asked.concept.edit
    x = bench.states(own.numbers).cpu().numpy()
    tokens = asked.at_hooks[patched.hook]
    edits = [Edit(), *dense_edits(x, own.labels, tokens, settings["strengths"], settings["seed"])]
    texts = EditedTexts(patched, asked.tokens)
    done = [
        (edit, outcome, _readings(edit, bench))
        for edit, outcome in zip(edits, texts.under(edits), strict=True)
    ]
    distance = float(np.linalg.norm(mean_difference(x, own.labels)))
    return _Dense(asked, texts, distance, done)


def _load(task: Task, hook: Hook) -> SAE:
    """Read the SAE of a task; a transcoder's features are not parts of what it reads."""
    sae = load_for_model(task.inputs["sae"], task.inputs["model"], device.pick(), hook=str(hook))
    if "target" in sae.metadata:
        raise ModelError(
            "a transcoder's features cannot be taken out of the activations that it reads",
            where=task.inputs["sae"],
            expected="an SAE",
            got=f"a transcoder from {hook} to {sae.metadata['target']['hook']}",
            remedy="Leave it out of the study's `erase_with`.",
        )
    return sae


def _feature_edits(of: _Dense, bench: Bench, sae: SAE, task: Task) -> list[Edit]:
    settings, own = task.settings, of.asked.concept.edit
    codes = sae.encode_sparse(bench.states(own.numbers))
    return feature_edits(
        codes, own.labels, sae.W_dec, of.distance,
        sizes=settings["features"], strengths=settings["strengths"], seed=settings["seed"],
    )  # fmt: skip


def _readings(edit: Edit, bench: Bench, coded: Coded | None = None) -> list[Reading]:
    """Return what readers make of an edit; nothing of steering, which moves all states alike."""
    return [] if edit.kind == STEERING else list(bench.read(edit, coded))


def _facts(prepared: Prepared, dense: Sequence[_Dense]) -> dict[str, object]:
    texts = [of.texts.n_tokens for of in dense]
    return {
        "n_tokens": int(sum(own.sum() for own in texts)),
        "n_documents": sum(map(len, texts)),
        "tasks": [of.asked.concept.name for of in dense],
        "read": [concept.name for concept in prepared.read],
        "left_out": prepared.left_out,
    }
