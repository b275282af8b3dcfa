"""Pairs of SAEs with known weights, their codes, and what is measured of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from measured import measure
from saeflow.config.measures import Codes, Similarity
from saeflow.measures.similarity.measure import measure_similarity
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.save import save
from saeflow.task import Task
from saeflow.work import hold
from tiny_stores import make_store

LENGTHS = {"train": [51] * 20, "validation": [], "test": [41] * 25}
N_ROWS = 51 * 20 + 41 * 25
N_TOKENS = 40 * 25
"""Test tokens without BOS."""


def random_sae(n: int, d: int, seed: int, *, threshold: float = 0.5, **metadata: Any) -> SAE:
    """Return an SAE with n random directions of any length; about a third of them are active."""
    generator = torch.Generator().manual_seed(seed)
    W_dec = torch.randn(n, d, generator=generator)
    return of_weights(W_dec, torch.full((n,), -threshold), **metadata)


def of_weights(W_dec: torch.Tensor, b_enc: torch.Tensor, **metadata: Any) -> SAE:
    """Return the ReLU SAE that reads what it writes."""
    unit = torch.nn.functional.normalize(W_dec, dim=1)
    weights = {"W_enc": unit.T.contiguous(), "b_enc": b_enc, "W_dec": W_dec}
    weights["b_dec"] = torch.zeros(W_dec.shape[1])
    return SAE("relu", architecture_settings("relu", {"l1": 0.0}), weights, metadata)


def permuted(sae: SAE, order: torch.Tensor) -> SAE:
    """Return an SAE with its latents in another order."""
    return of_weights(sae.W_dec[order], sae.b_enc[order], **sae.metadata)


def stores(root: Path, d: int = 12, **hooks: torch.Tensor) -> dict[str, Path]:
    """Write random activations at "one", and what else is given, on the same tokens."""
    x = torch.randn(N_ROWS, d, generator=torch.Generator().manual_seed(1))
    named = {"one": x, **hooks}
    return {
        name: make_store(root, rows, LENGTHS, hook=f"resid_post.{place}")
        for place, (name, rows) in enumerate(named.items())
    }


def coded(
    root: Path, saes: Mapping[str, SAE], activations: Path, **settings: Any
) -> dict[str, dict[str, Path]]:
    """Save SAEs and keep their codes; return of each what a pair reads of it."""
    records = {}
    for name, sae in saes.items():
        with hold(root / name / "sae.json", name) as work:
            save(sae, work.path)
            work.finish({})
        records[name] = work.output
    settings = {**Codes(least=2).model_dump(), **settings}
    tasks = measure("codes", root, records, settings, activations=activations)
    return {
        name: {"sae": records[name], "codes": task.output, "activations": activations}
        for name, task in tasks.items()
    }


def compare(
    root: Path, pairs: Mapping[str, tuple[Mapping[str, Path], Mapping[str, Path]]], **settings: Any
) -> dict[str, Task]:
    """Measure pairs of what `coded` returns in one pass, and return their tasks by name."""
    settings = {"measure": "similarity", **Similarity().model_dump(), **settings}
    tasks = {}
    with ExitStack() as stack:
        for name, (first, second) in pairs.items():
            work = stack.enter_context(hold(root / name / "similarity.json", name.ljust(64, "0")))
            others = {key: one for key, one in second.items() if first.get(key) != one}
            inputs = {**first, **{f"other_{key}": one for key, one in others.items()}}
            tasks[name] = Task(work.output, work.identity, settings, inputs, work=work)
        measure_similarity(list(tasks.values()))
    return tasks
