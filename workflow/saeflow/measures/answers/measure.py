"""What a language model answers to prompt sets with SAEs in it, as a job: from records to sums.

`saeflow.measures.answers.asking` is the measurement itself. Read `measure_answers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from saeflow import device
from saeflow.files import read_json
from saeflow.measures.answers.asking import Answers, Patch, ask
from saeflow.measures.answers.lines import Question
from saeflow.measures.encoders import finish_each, load_for_model
from saeflow.measures.sums import write_table
from saeflow.models.hooks import Hook
from saeflow.prompts.encode import Encoded, EncodedPrompt, encode_prompts
from saeflow.prompts.prompt import PromptSet, read_prompts
from saeflow.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DOCUMENTS, PROMPTS, FEATURES = "documents.parquet", "prompts.parquet", "features.parquet"
_END_CHARACTERS = 160
"""Of a prompt, that are kept to be shown beside what was answered."""


def measure_answers(tasks: Sequence[Task]) -> None:
    """Ask a model with SAEs of all its hooks the prompts of some sets, and finish the tasks.

    Inputs: ``sae``, ``prompts``, and ``model`` with its ``tokenizer``, which all share. Works get
    ``documents.parquet`` (the sums of `saeflow.metrics.answers` by prompt), ``prompts.parquet``
    (the ends of prompts, and what was answered) and ``features.parquet`` (which latents are active
    at the ends of which prompts).
    """
    from saeflow.models.load import load_model_once, load_tokenizer

    record = tasks[0].inputs["model"]
    saes: dict[Path, Patch] = {}
    by_set: dict[Path, list[Task]] = {}
    for task in tasks:
        with task.attempt():
            own = Path(task.inputs["sae"])
            if own not in saes:
                saes[own] = load_patch(own, record, device.pick())
            by_set.setdefault(Path(task.inputs["prompts"]), []).append(task)
    if not by_set:
        return
    model = load_model_once(record, device.pick())
    tokenizer = load_tokenizer(tasks[0].inputs["tokenizer"])
    for prompts, own in by_set.items():
        found, settings = read_prompts(prompts), own[0].settings
        encoded = encode_prompts(tokenizer, found.prompts, read_json(record)["max_positions"])
        results = ask(
            model,
            [saes[Path(task.inputs["sae"])] for task in own],
            questions_of(encoded, after=settings["after"]),
            window=found.window,
            published_mode=settings["published_mode"],
        )
        finish_each(own, results, partial(_write, found, encoded, tokenizer))


def load_patch(record: Path, model: Path, machine: torch.device) -> Patch:
    """Read an SAE, hold it against the record of a language model, and say where it belongs."""
    sae = load_for_model(record, model, machine)
    reads = sae.metadata["hook"]
    hook = sae.metadata.get("target", {}).get("hook", reads)
    return Patch(sae, Hook.parse(hook), Hook.parse(reads), str(record))


def questions_of(encoded: Encoded, *, after: bool) -> list[Question]:
    """Return encoded prompts as what is asked.

    ``after`` is whether the rest of the sentence counts where candidates are compared.
    """
    found = []
    for one in encoded.prompts:
        special = np.zeros(len(one.ids), dtype=bool)
        special[: int(encoded.has_bos)] = True
        found.append(
            Question(
                one.ids,
                special,
                _ids(one.answer),
                tuple(map(_ids, one.candidates or ())),
                int(one.distractor[0]) if told_apart(one) else -1,
                _ids(one.after) if after and one.candidates else (),
            )
        )
    return found


def told_apart(one: EncodedPrompt) -> bool:
    """Return whether a prompt has a distractor that begins with another token than the answer."""
    return one.distractor is not None and one.distractor[0] != one.answer[0]


def _ids(ids: np.ndarray) -> tuple[int, ...]:
    return tuple(ids.tolist())


def _write(
    asked: PromptSet,
    encoded: Encoded,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    found: Answers,
) -> None:
    directory, prompts = task.work.path, asked.prompts
    tops = {"top_clean": found.top_clean, "top": found.top}
    texts = {
        "prompt": found.prompts["document"],
        "end": [prompt.text[-_END_CHARACTERS:] for prompt in prompts],
        "answer": [prompt.answer for prompt in prompts],
        **{name: [tokenizer.decode([one]) for one in ids.tolist()] for name, ids in tops.items()},
    }
    write_table(directory / DOCUMENTS, found.prompts)
    write_table(directory / PROMPTS, texts)
    write_table(directory / FEATURES, found.features)
    n_special = len(prompts) * int(encoded.has_bos)
    task.finish(
        {
            "n_documents": len(prompts),
            "n_tokens": sum(len(one.ids) for one in encoded.prompts) - n_special,
            "kind": asked.kind,
            "window": asked.window,
            "n_not_told_apart": sum(
                one.distractor is not None and not told_apart(one) for one in encoded.prompts
            ),
            **encoded.facts,
        }
    )
