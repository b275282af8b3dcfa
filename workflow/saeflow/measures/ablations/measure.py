"""What single features do to the answers to prompts, as a job: from records to tables.

`saeflow.measures.ablations.ablate` is the measurement itself. Read `measure_ablations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from saeflow import device
from saeflow.files import read_json
from saeflow.measures.ablations.ablate import Found, Plan, ablate
from saeflow.measures.ablations.feature_facts import logit_effects, mean_final_stream
from saeflow.measures.ablations.feature_texts import contexts, described
from saeflow.measures.answers.lines import Question
from saeflow.measures.answers.measure import load_patch, questions_of
from saeflow.measures.encoders import finish_each, grouped
from saeflow.measures.sums import write_table
from saeflow.models.patched import PatchedModel
from saeflow.prompts.encode import encode_prompts
from saeflow.prompts.prompt import read_prompts
from saeflow.sae.model import SAE
from saeflow.task import Task, attempting
from saeflow.work import bulk_of

_STREAM_PROMPTS = 32
"""Prompts over which the last residual stream is averaged."""


def measure_ablations(tasks: Sequence[Task]) -> None:
    """Ablate features of SAEs in a model, and finish the tasks.

    Inputs: ``sae``; ``prompts``; ``answers`` of this SAE to them; ``model`` and its ``tokenizer``,
    which all share. Settings: those of `saeflow.config.sections.Ablations`. Works get
    ``effects.parquet`` and ``sets.parquet`` (`saeflow.measures.ablations.ablate.Found`),
    ``features.parquet`` (why each feature was chosen, and what it is about) and
    ``contexts.parquet``.
    """
    from saeflow.models.load import load_model_once, load_tokenizer

    record = tasks[0].inputs["model"]
    model = load_model_once(record, device.pick())
    tokenizer = load_tokenizer(tasks[0].inputs["tokenizer"])
    for prompts, own in grouped(tasks, lambda task: Path(task.inputs["prompts"])).items():
        with attempting(own):
            shared = _Set.read(model, tokenizer, prompts, read_json(record)["max_positions"])
            for group in grouped(own, _hooks).values():  # so few SAEs are in memory at once
                with attempting(group):
                    _measure(group, shared, record)


def _hooks(task: Task) -> tuple[str, str]:
    facts = read_json(task.inputs["sae"])
    return str(facts["hook"]), str(facts.get("target", {}).get("hook"))


class _Set(NamedTuple):
    """A model and a prompt set, which all SAEs share."""

    model: Any
    tokenizer: Any
    questions: list[Question]
    window: int
    stream: torch.Tensor

    @classmethod
    @torch.no_grad()
    def read(cls, model: Any, tokenizer: Any, record: Path, max_positions: int) -> _Set:
        found = read_prompts(record)
        encoded = encode_prompts(tokenizer, found.prompts, max_positions)
        questions = questions_of(encoded, after=False)
        ids = [torch.from_numpy(q.ids).to(model.device) for q in questions[:_STREAM_PROMPTS]]
        return cls(model, tokenizer, questions, found.window, mean_final_stream(model, ids))


@torch.no_grad()
def _write(shared: _Set, task: Task, found: Found, sae: SAE, plan: Plan) -> None:
    rows = sae.W_dec[torch.tensor(plan.latents, device=sae.W_dec.device)]
    effects = logit_effects(shared.model, shared.stream, rows).cpu().numpy()
    about = described(plan.latents, found.seen.purity(), effects, shared.tokenizer)
    shown = contexts(found.seen, plan.shown, shared.questions, shared.tokenizer, shared.window)
    tables = {
        "effects": found.effects,
        "sets": found.sets,
        "features": plan.chosen.merge(about, on="latent", validate="one_to_one"),
        "contexts": shown.join(_answers(task.inputs["answers"]), on="prompt"),
    }
    for name, table in tables.items():
        write_table(task.work.path / f"{name}.parquet", table)
    task.finish(
        {
            "n_prompts": len(shared.questions),
            "n_prompts_run": len(plan.prompts),
            "n_features": len(plan.latents),
            "n_ablated": len(found.effects) // 2,
        }
    )


def _measure(tasks: Sequence[Task], shared: _Set, model: Path) -> None:
    """Measure the SAEs of one hook on one prompt set."""
    usable, patches, plans = [], [], []
    for task in tasks:
        with task.attempt():
            patch = load_patch(Path(task.inputs["sae"]), model, device.pick())
            answers = _answers(task.inputs["answers"])
            active = pd.read_parquet(bulk_of(task.inputs["answers"]) / "features.parquet")
            delta = answers["delta_log_p"].to_numpy(np.float64)
            plans.append(Plan(delta, active, patch.sae.d_sae, task.settings))
            patches.append(patch)
            usable.append(task)
    if not usable:
        return
    patched = PatchedModel(shared.model, patches[0].hook, patches[0].reads)
    saes = [patch.sae for patch in patches]
    results = ablate(patched, saes, shared.questions, plans)
    finish_each(usable, results, partial(_write, shared), saes, plans)


def _answers(record: Path) -> pd.DataFrame:
    """Return by prompt the answer, the change of its ln p by the SAE, and which were right."""
    directory = bulk_of(record)
    sums = pd.read_parquet(directory / "documents.parquet").set_index("document")
    texts = pd.read_parquet(directory / "prompts.parquet").set_index("prompt")
    return pd.DataFrame(
        {
            "answer": texts["answer"],
            "delta_log_p": sums["log_p_sae"] - sums["log_p_clean"],
            "right_clean": sums["right_clean"] > 0,
            "right_sae": sums["right_sae"] > 0,
        }
    )
