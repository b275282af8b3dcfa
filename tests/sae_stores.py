"""Activations of a known sparse dictionary, in a store, and SAEs trained on them."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from saeflow.finetune.sweep import finetune_sweep
from saeflow.interrupt import Interrupted
from saeflow.sae.training import descent, trainee
from saeflow.sae.training.sweep import train_sweep
from saeflow.task import Task
from saeflow.work import Work, hold
from tiny_stores import VOCABULARY, make_store, raise_failure

ORIGIN = {
    "model": {"name": "toy", "architecture": "none", "weights_sha256": "w" * 64},
    "tokenizer": VOCABULARY,
    "context_length": 33,
}
SEQUENCE = 33  # one of these tokens is BOS, which no SAE is trained on


def sparse_data(n: int, d_in: int, n_true: int, *, mean_l0: float, seed: int = 0) -> torch.Tensor:
    """Return (n, d_in): sums of a few random directions with uniform strengths, off the origin."""
    g = torch.Generator().manual_seed(seed)
    directions = torch.randn(n_true, d_in, generator=g)
    directions /= directions.norm(dim=1, keepdim=True)
    active = torch.rand(n, n_true, generator=g) < mean_l0 / n_true
    strength = active * (0.5 + torch.rand(n, n_true, generator=g))
    return strength @ directions + torch.randn(d_in, generator=g) / d_in**0.5


def make_activations(
    root: Path,
    *,
    n_sequences: int = 64,
    n_validation: int = 0,
    d_in: int = 12,
    x=None,
    hook: str = "resid_post.0",
    **options,
) -> Path:
    """Write a store with ``n_sequences`` of 32 rows to train on and return its record.

    ``options`` are those of `make_store`.
    """
    numbers = {"train": n_sequences, "validation": n_validation, "test": 2}
    lengths = {split: [SEQUENCE] * n for split, n in numbers.items()}
    n = sum(map(sum, lengths.values()))
    if x is None:
        x = sparse_data(n, d_in, 20, mean_l0=3)
    return make_store(root, x, lengths, hook=hook, **options, **ORIGIN)


def place(root: Path, name: str) -> Work:
    """Return the work of an SAE's record, not held."""
    return Work(root / name / "sae.json", f"identity of {name}".ljust(64, "0"), "")


def task_of(work: Work, settings: Mapping[str, Any], **inputs: Path) -> Task:
    """Return the task of a work."""
    return Task(work.output, work.identity, settings, inputs, work=work)


def train_saes(jobs, activations: Path, target: Path | None = None, **options) -> None:
    """Train the SAEs of (work, settings) in one pass; raise the first failure."""
    inputs = {"activations": activations, **({} if target is None else {"target": target})}
    tasks = [task_of(work, settings, **inputs) for work, settings in jobs]
    train_sweep(tasks, **options)
    raise_failure(tasks)


def tune_saes(jobs, activations: Path, *, model=None, tokens=None, **options) -> None:
    """Fine-tune the SAEs of (work, settings, parent) in one pass; raise the first failure."""
    inputs = {"activations": activations}
    if model is not None:
        inputs |= {"model": model, "tokens": tokens}
    tasks = [task_of(work, settings, parent=sae, **inputs) for work, settings, sae in jobs]
    finetune_sweep(tasks, **options)
    raise_failure(tasks)


@contextmanager
def stopped(at: int, *, of: Work | None = None):
    """Ask to stop when a training, or that of a work, has done so many steps, and see it stop."""
    train, asked = trainee.Trainee.train, []

    def stopping(self, batch, workspace):
        train(self, batch, workspace)
        if self.n_done == at and of in (None, self.work) and not asked:
            asked.append(True)  # a second signal would not wait for the save
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(trainee.Trainee, "train", stopping)
        yield


def let_diverge(monkeypatch) -> None:
    """Make a learning rate of 1 one with which any training diverges."""
    found = descent.learning_rate
    monkeypatch.setattr(
        descent, "learning_rate", lambda base, **now: found(1e30 if base == 1 else base, **now)
    )


def content(work: Work) -> dict[str, bytes]:
    """Return the finished files by name, but for the manifest that holds the identity."""
    assert work.finished
    files = sorted(p for p in work.final.iterdir() if p.name != "manifest.json")
    return {p.name: p.read_bytes() for p in files}


def published(root: Path, name: str, train) -> Path:
    """Hold a place, let ``train(work)`` fill it, and return the record."""
    work = place(root, name)
    with hold(work.output, work.identity) as held:
        train(held)
    return work.output
