"""Measures as the script runs them: the tasks of one pass, held and handed to the library."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from saeflow import registry
from saeflow.measures.clean import Source, clean_losses
from saeflow.measures.losses import Losses
from saeflow.metrics.registry import MEASURES
from saeflow.models.patched import PatchedModel
from saeflow.task import Task
from saeflow.tokenizers import publish_tokenizer
from saeflow.tokens.sequences import Sequences
from saeflow.work import hold
from tiny_models import make_tokenizer


def measure(
    name: str,
    root: Path,
    saes: Mapping[str, Path],
    settings: Mapping[str, Any] = {},
    *,
    each: Mapping[str, Mapping[str, Any]] = {},
    **inputs: Any,
) -> dict[str, Task]:
    """Measure SAEs in one pass and return their tasks by name; inputs of None are left out.

    ``each`` has inputs of single SAEs.
    """
    tasks = {}
    with ExitStack() as stack:
        for sae, record in saes.items():
            work = stack.enter_context(hold(root / sae / f"{name}.json", sae.ljust(64, "0")))
            own = {"sae": record, **inputs, **each.get(sae, {})}
            own = {key: given for key, given in own.items() if given is not None}
            tasks[sae] = Task(
                work.output, work.identity, {"measure": name, **settings}, own, work=work
            )
        registry.function(MEASURES[name].compute)(list(tasks.values()))
    return tasks


def measure_hooks(
    root: Path, activations: Mapping[str, Path], n_tokens: int | None = None, **inputs: Any
) -> dict[str, Task]:
    """Measure with ``clean`` what stands at hooks, in one pass, and return their tasks by hook."""
    tasks, settings = {}, {"measure": "clean", "tokens": n_tokens}
    with ExitStack() as stack:
        for hook, record in activations.items():
            work = stack.enter_context(hold(root / hook / "clean.json", hook.ljust(64, "0")))
            own = {"activations": record, **inputs}
            tasks[hook] = Task(work.output, work.identity, settings, own, work=work)
        registry.function(MEASURES["clean"].compute)(list(tasks.values()))
    return tasks


def kept_losses(
    patched: PatchedModel, tokens: Sequences, mean: torch.Tensor, **options: int
) -> Losses:
    """Return what ``clean`` keeps of the running model's activations at the hook of a model."""
    with tempfile.TemporaryDirectory() as directory:
        losses = Losses.make(Path(directory), tokens)
        source = Source(patched, mean, None, losses)
        clean_losses(patched.model, [source], tokens, **options)
    assert source.error is None
    return losses


def table(task: Task, name: str = "documents") -> pd.DataFrame:
    """Return a table of a finished task."""
    return pd.read_parquet(task.work.final / f"{name}.parquet")


def values(task: Task) -> dict[str, float]:
    """Return the metrics of a finished measurement of an SAE that need no parent."""
    measure = MEASURES[task.settings["measure"]]
    sums = dict(table(task).sum())
    if measure.name == "reconstruction":
        latents = table(task, "latents")["fired"].to_numpy()
        sums |= {"d_in": task.work.manifest["d_in"], "fired": latents}
    return formed(measure.name, sums)


def formed(measure: str, sums: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of a measure that need no parent, formed of sums over all documents."""
    wide = {name: np.asarray(value, dtype=np.float64) for name, value in sums.items()}
    metrics = [metric for metric in MEASURES[measure].metrics if not metric.paired]
    with np.errstate(divide="ignore", invalid="ignore"):
        return {metric.name: metric.formula(wide) for metric in metrics}


def measure_at_hooks(
    name: str,
    root: Path,
    hooks: Iterable[str],
    settings: Mapping[str, Any] = {},
    *,
    each: Mapping[str, Mapping[str, Any]] = {},
    **inputs: Any,
) -> dict[str, Task]:
    """Measure hooks in one pass and return their tasks; ``each`` has inputs of single hooks."""
    tasks = {}
    with ExitStack() as stack:
        for hook in hooks:
            work = stack.enter_context(hold(root / hook / f"{name}.json", hook.ljust(64, "0")))
            own = {"measure": name, "hook": hook, **settings}
            given = {**inputs, **each.get(hook, {})}
            tasks[hook] = Task(work.output, work.identity, own, given, work=work)
        registry.function(MEASURES[name].compute)(list(tasks.values()))
    return tasks


def publish_words(root: Path, tokenizer: Any = None) -> Path:
    """Write a tokenizer, that of `tiny_models` by default, as a finished ``tokenizer.json``."""
    tokenizer = tokenizer or make_tokenizer()
    tokenizer.save_pretrained(root / "files")
    with hold(root / "tokenizer.json", "t" * 64) as work:
        publish_tokenizer(work, root / "files")
        work.publish()
    return root / "tokenizer.json"
