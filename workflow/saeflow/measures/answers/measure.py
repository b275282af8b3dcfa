"""What a language model answers to prompt sets with SAEs in it, as a job: from records to sums.

`saeflow.measures.answers.asking` is the measurement itself. Read `measure_answers`.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    Parameters
    ----------
    tasks
        Of one pass. Inputs: ``sae``, ``prompts``, and ``model`` with its ``tokenizer``, which all
        share. Works get ``documents.parquet`` (the sums of `saeflow.metrics.answers` by prompt),
        ``prompts.parquet`` (the ends of prompts, and what was answered) and ``features.parquet``
        (which latents are active at the ends of which prompts).
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
        shared = _Written(found, encoded, tokenizer)
        finish_each(own, results, shared.write)


def load_patch(record: Path, model: Path, machine: torch.device) -> Patch:
    """Read an SAE, hold it against a model, and say where it belongs.

    Parameters
    ----------
    record
        Of the SAE.
    model
        That of the language model.
    machine
        Where the SAE is put.
    """
    sae = load_for_model(record, model, machine)
    reads = sae.metadata["hook"]
    hook = sae.metadata.get("target", {}).get("hook", reads)
    return Patch(sae, Hook.parse(hook), Hook.parse(reads), str(record))


def questions_of(encoded: Encoded, *, after: bool) -> list[Question]:
    """Return encoded prompts as what is asked.

    Parameters
    ----------
    encoded
        The prompts.
    after
        Whether the rest of the sentence counts where candidates are compared.
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


class _Written:
    """Writes what SAEs of one prompt set have in common beside what is each one's own."""

    def __init__(
        self, prompts: PromptSet, encoded: Encoded, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self._prompts, self._encoded, self._tokenizer = prompts, encoded, tokenizer

    def write(self, task: Task, found: Answers) -> None:
        """Write the tables of a task and finish it."""
        directory, prompts = task.work.path, self._prompts.prompts
        texts = {
            "prompt": found.prompts["document"],
            "end": [prompt.text[-_END_CHARACTERS:] for prompt in prompts],
            "answer": [prompt.answer for prompt in prompts],
            "top_clean": self._decoded(found.top_clean),
            "top": self._decoded(found.top),
        }
        write_table(directory / DOCUMENTS, found.prompts)
        write_table(directory / PROMPTS, texts)
        write_table(directory / FEATURES, found.features)
        alike = [p.distractor is not None and not told_apart(p) for p in self._encoded.prompts]
        n_tokens = sum(len(one.ids) for one in self._encoded.prompts)
        n_special = len(prompts) * int(self._encoded.has_bos)
        task.finish(
            {
                "n_documents": len(prompts),
                "n_tokens": n_tokens - n_special,
                "kind": self._prompts.kind,
                "window": self._prompts.window,
                "n_not_told_apart": sum(alike),
                **self._encoded.facts,
            }
        )

    def _decoded(self, ids: np.ndarray) -> list[str]:
        """Return tokens (n,) as text."""
        return [self._tokenizer.decode([one]) for one in ids.tolist()]
