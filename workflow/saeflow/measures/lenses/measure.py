"""Lenses as a job: what the model's own end says of the tasks of labelled texts at each hook.

    logit_lens  the hook's state, as if it were the model's last one (in the residual stream only)
    tuned_lens  what an affine map makes of it (`saeflow.measures.lenses.translators`)

Each goes through the model's final norm, and its product with the direction of a task's words
(`saeflow.measures.lenses.words`) is the score. Labels decide the threshold and nothing else. Read
`measure_lenses`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from saeflow import device
from saeflow.files import read_json
from saeflow.labelled.labelled import TRAIN, Labelled, read_labelled
from saeflow.measures.encoders import grouped
from saeflow.measures.lenses.lens import Lens, best_threshold
from saeflow.measures.lenses.training import RESIDUAL, chosen_texts, fit_translators
from saeflow.measures.lenses.translators import Translator
from saeflow.measures.lenses.words import WORDS, Asked, described, directions
from saeflow.measures.states import LAST, open_states
from saeflow.measures.text_tokens import TextTokens, tokenize_labelled
from saeflow.models.hooks import Hook
from saeflow.probing.draws import NORMAL, SHIFT
from saeflow.probing.probe import Input, Probed, probe_task, tasks_of, write_probes
from saeflow.task import Task, attempting

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LOGIT_LENS, TUNED_LENS = "logit_lens", "tuned_lens"
_STATES = "states"
_ALL = {
    "train": 1 << 62, "sizes": (), "shares": (), "flips": (), "seeds": (0,), "permutations": 0,
}  # fmt: skip
"""Of all settings of probes, those with all training examples."""


class _Read(NamedTuple):
    """Labelled texts, and what all hooks have in common on them."""

    labelled: Labelled
    asked: list[Asked]
    left_out: dict[str, str]
    n_tokens: int
    translators: dict[Hook, Translator]


def measure_lenses(tasks: Sequence[Task]) -> None:
    """Score the tasks of labelled texts with lenses at hooks of a model, and finish the tasks.

    Settings ``tokens`` and ``seed`` of `saeflow.config.sections.Lenses`. Inputs: ``states`` of each
    task's hook, ``labelled``, and ``model`` with its ``tokenizer``, which all share. Works get
    ``fits.parquet`` and ``scores.parquet`` as those of probes do, with no row where no task has
    words.
    """
    from saeflow.models.load import load_model_once, load_tokenizer

    inputs = tasks[0].inputs
    model = load_model_once(inputs["model"], device.pick())
    tokenizer, lens = load_tokenizer(inputs["tokenizer"]), Lens(model)
    for own in grouped(tasks, lambda task: Path(task.inputs["labelled"])).values():
        with attempting(own):
            read = _read(model, tokenizer, own)
            for task in own:
                with task.attempt():
                    _finish(task, read, lens)


def _read(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tasks: Sequence[Task]
) -> _Read:
    labelled = read_labelled(tasks[0].inputs["labelled"])
    asked, left_out = directions(model, tokenizer, labelled.tasks)
    if not asked:
        return _Read(labelled, asked, left_out, 0, {})
    states = [read_json(task.inputs["states"]) for task in tasks]
    reading = states[0]["reading"]
    most = read_json(tasks[0].inputs["model"])["max_positions"]
    tokens = _training_tokens(
        tokenizer, labelled, asked, tasks[0].settings,
        bos=reading["bos"], long=reading["long"], max_positions=most,
    )  # fmt: skip
    hooks = [Hook.parse(facts["hook"]) for facts in states]
    translators = fit_translators(model, hooks, tokens, reading["batch_tokens"])
    return _Read(labelled, asked, left_out, int(tokens.ordinary.sum()), translators)


def _training_tokens(
    tokenizer: PreTrainedTokenizerBase,
    labelled: Labelled,
    asked: Sequence[Asked],
    settings: Mapping[str, Any],
    **options: Any,
) -> TextTokens:
    """Return tokens of the training texts of tasks with words, as many as are enough."""
    texts = np.unique(np.concatenate([one.task.of(TRAIN)[0] for one in asked]))
    part = labelled._replace(
        texts=[labelled.texts[i] for i in texts],
        spans=labelled.spans[texts],
        concepts=[labelled.concepts[i] for i in texts],
    )
    tokens = tokenize_labelled(tokenizer, part, **options)
    return tokens.of(chosen_texts(tokens.lengths, settings["tokens"], settings["seed"]))


def _finish(task: Task, read: _Read, lens: Lens) -> None:
    states = open_states(task.inputs["states"])
    hook = Hook.parse(states.facts["hook"])
    probed, facts = Probed([], [], dict(read.left_out)), {}
    if read.asked:
        x = torch.from_numpy(np.array(states.pooled(LAST)))
        translator = read.translators[hook]
        seen = {TUNED_LENS: translator(x.to(translator.matrix.device))}
        if hook.site.startswith(RESIDUAL):
            seen = {LOGIT_LENS: x, **seen}
        for one in read.asked:
            examples = torch.tensor(one.task.examples)
            for name, values in seen.items():
                scores = lens(values[examples], one.direction)
                methods = {setting: {name: best_threshold} for setting in (NORMAL, SHIFT)}
                given = Input(_STATES, LAST, scores[:, None], methods)
                own = probe_task(one.task, given, _ALL)
                probed.fits.extend(own.fits)
                probed.scores.extend(own.scores)
                probed.left_out.update(own.left_out)
        known = np.isfinite(translator.left_over)
        facts = {"ridge": translator.ridge, "left_over": translator.left_over if known else None}
    n_without = sum(not one.facts.get(WORDS) for one in read.labelled.tasks)
    written = write_probes(task.work.path, probed)
    task.finish(
        {
            "hook": str(hook),
            "tasks": tasks_of(read.labelled),
            "words": described(read.asked),
            "n_without_words": n_without,
            "n_translator_tokens": read.n_tokens,
            **facts,
            **written,
        }
    )
