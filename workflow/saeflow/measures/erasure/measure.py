"""Removing concepts from a model's activations and steering with them, as a job.

The parts: `concepts` (whose examples), `edits` (what is done), `readers` (who still finds the
concept), `edited_texts` (what the model makes of it). Read `measure_erasure`.
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
from saeflow.measures.states import LAST, open_states
from saeflow.metrics.erasure import EDITS, READINGS, STEERING, TEXTS
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


class Rows:
    """Gathers what is measured of edits, one after the other.

    ``edits.parquet`` has a row per edit: its number ``edit``, the ``task`` whose concept it is
    about, ``kind``, ``way``, ``n_features``, ``strength`` and ``latents`` of
    `saeflow.measures.erasure.edits.Edit`, and ``distance``, the norm of the difference of the
    classes' means. ``readings.parquet`` has one per edit, task that is looked for (``of``) and test
    ``example``: its ``label``, and the log-odds ``old`` and ``fresh`` of readers. ``texts.parquet``
    has one per edit and text that the model read: ``example`` and ``label``, ``tokens`` and ``ce``,
    the cross-entropy summed over these, in nats; ``logit_difference`` of the words of the classes,
    NaN where there are none; and ``end_score``, the log-odds read at the model's end.
    """

    def __init__(self) -> None:
        self._edits: list[dict] = []
        self._readings: list[dict[str, np.ndarray]] = []
        self._texts: list[dict[str, np.ndarray]] = []

    def add(self, of: _Dense, edit: Edit, outcome: Outcome, readings: Sequence[Reading]) -> None:
        """Add an edit of a concept, with what came of it and what readers made of it."""
        asked, number = of.asked, len(self._edits)
        self._edits.append(
            {
                "edit": number, "task": asked.concept.name, "kind": edit.kind, "way": edit.way,
                "n_features": edit.n_features, "strength": edit.strength, "distance": of.distance,
                "latents": list(edit.latents),
            }
        )  # fmt: skip
        for one in readings:
            own, n = one.concept.test, len(one.old)
            self._readings.append(
                {
                    "edit": np.full(n, number), "of": np.full(n, one.concept.name, dtype=object),
                    "example": own.numbers, "label": own.labels, "old": one.old.astype(np.float32),
                    "fresh": one.fresh.astype(np.float32),
                }
            )  # fmt: skip
        ends = outcome.ends
        self._texts.append(
            {
                "edit": np.full(len(ends), number), "example": asked.texts.numbers,
                "label": asked.texts.labels, "tokens": of.texts.n_tokens, "ce": outcome.ce,
                "logit_difference": asked.spoken(ends),
                "end_score": asked.end(ends.double().cpu().numpy()),
            }
        )  # fmt: skip

    def write(self, directory: Path) -> None:
        """Write the three tables into a directory."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        latents = pa.array([one["latents"] for one in self._edits], pa.list_(pa.int64()))
        names = [name for name in self._edits[0] if name != "latents"]
        edits = {name: pa.array([one[name] for one in self._edits]) for name in names}
        pq.write_table(pa.table({**edits, "latents": latents}), directory / EDITS)
        for file, parts in ((READINGS, self._readings), (TEXTS, self._texts)):
            joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            pq.write_table(pa.table(joined), directory / file)


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
                for one in (*of.done, *_done(edits, of.texts, bench, sae, coded)):
                    rows.add(of, *one)
            rows.write(task.work.path)
            task.finish(_facts(prepared, dense))


def _dense(asked: Asked, bench: Bench, patched: PatchedModel, task: Task) -> _Dense:
    settings, own = task.settings, asked.concept.edit
    x = bench.states(own.numbers).cpu().numpy()
    tokens = asked.at_hooks[patched.hook]
    edits = [Edit(), *dense_edits(x, own.labels, tokens, settings["strengths"], settings["seed"])]
    texts = EditedTexts(patched, asked.tokens)
    distance = float(np.linalg.norm(mean_difference(x, own.labels)))
    return _Dense(asked, texts, distance, _done(edits, texts, bench))


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


def _done(
    edits: Sequence[Edit],
    texts: EditedTexts,
    bench: Bench,
    sae: SAE | None = None,
    coded: Coded | None = None,
) -> list[tuple[Edit, Outcome, list[Reading]]]:
    """Return what the model and readers make of edits; steering moves all alike: none reads it."""
    return [
        (edit, outcome, [] if edit.kind == STEERING else list(bench.read(edit, coded)))
        for edit, outcome in zip(edits, texts.under(edits, sae), strict=True)
    ]


def _facts(prepared: Prepared, dense: Sequence[_Dense]) -> dict[str, object]:
    tokens = np.concatenate([of.texts.n_tokens for of in dense])
    return {
        "n_tokens": int(tokens.sum()),
        "n_documents": len(tokens),
        "tasks": [of.asked.concept.name for of in dense],
        "read": [concept.name for concept in prepared.read],
        "left_out": prepared.left_out,
    }
