"""Probes of states and codes that nobody fitted, with what SAEs give back of the probed tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

import made_up_probes
from saeflow.hooks import Hook
from saeflow.tables.runs import Key, Record, Run

D_IN, N_TRAIN, N_TEST = 64, 60, 40
RECIPES = {  # architecture, width, L0, what codes lose against states
    "topk-8": ("topk", 512, 8.0, 0.16),
    "topk-32": ("topk", 512, 32.0, 0.08),
    "topk-32-wide": ("topk", 2048, 32.0, 0.05),
    "relu-with-a-rather-long-name": ("relu", 512, 45.0, 0.06),
}
KS = (1, 2, 4, 8, 16, 32)
_GIVEN = {"codes": 0.0, "decoded": 0.02, "residual": -0.2}
_METHODS = {"pca_active": -0.02, "random_active": -0.12, "pca_on": 0.05}


def runs(
    hooks: Sequence[str],
    recipes: Sequence[str] = tuple(RECIPES),
    *,
    n_seeds: int = 1,
    n_tasks: int = 3,
    models: Sequence[str] = ("small",),
    labelled: Sequence[str] = ("texts",),
    poolings: Sequence[str] = ("last",),
    places: Sequence[str] = ("general",),
) -> tuple[Run, ...]:
    """Return a study's runs; AUC rises with the block, and codes lose what `RECIPES` says."""
    found = []
    tasks = [f"task-{i}" for i in range(n_tasks)]
    for model in models:
        for entry in labelled:
            for hook in hooks:
                on = {"eval_dataset": entry, "eval_packing": "labelled"}
                dense = [fit for task in tasks for fit in _dense(hook, task, poolings)]
                record = made_up_probes.record(dense)
                found.append(Run(Key(model, hook=hook, **on), {"dense_probes": record}))
                for place in places:
                    for recipe in recipes:
                        for seed in range(n_seeds):
                            key = Key(model, place, "p", hook, recipe, seed, **on)
                            found.append(_run(key, tasks, poolings))
    return tuple(sorted(found, key=lambda run: run.key.order()))


def _run(key: Key, tasks: Sequence[str], poolings: Sequence[str]) -> Run:
    architecture, width, l0, loss = RECIPES[key.sae]
    loss -= 0.03 * (key.dataset == "domain")
    fits = [fit for task in tasks for fit in _sparse(key, task, loss, poolings)]
    record = made_up_probes.record(fits)
    examples, features = _texts(key, l0, loss)
    tables = {"examples.parquet": examples, "features.parquet": features}
    own = Record(
        {**record.facts, "d_in": D_IN},
        lambda name: tables[name] if name in tables else record.read(name),
    )
    facts = {"architecture": architecture, "d_sae": width, "training": {"tokens": 1}}
    return Run(key, {"sparse_probes": own, "sae": Record(facts, {}.__getitem__)})


def _dense(hook: str, task: str, poolings: Sequence[str]) -> Iterator[dict[str, Any]]:
    for how in poolings:
        for given in ("states", "centred"):
            yield _fit(hook, task, 0.0, method="published", input=given, pooling=how)
    for place, method in enumerate(made_up_probes.METHODS):
        yield _fit(hook, task, -0.01 * place, method=method)
    yield _fit(hook, task, None, method="published", setting="shuffled")


def _sparse(key: Key, task: str, loss: float, poolings: Sequence[str]) -> Iterator[dict[str, Any]]:
    less = -loss - 0.01 * key.seed
    for given, plus in _GIVEN.items():
        for how in poolings if given == "codes" else ("last",):
            yield _fit(key.hook, task, less + plus, method="published", input=given, pooling=how)
    for method, plus in _METHODS.items():
        yield _fit(key.hook, task, less + plus, method=method, k=8)
    for k in KS:
        yield _fit(key.hook, task, less - 0.15 / k, method="k_sparse", input="codes", k=k)
    yield _fit(key.hook, task, less + 0.01, method="logistic", input="codes")
    yield _fit(key.hook, task, None, method="published", input="codes", setting="shuffled")


def _fit(hook: str, task: str, plus: float | None, **more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(list(map(ord, f"{hook}{task}{more}")))
    hard = 0.04 * (int(task.partition("-")[2]) % 5)
    block = Hook.parse(hook).block
    auc = 0.5 if plus is None else 0.88 + 0.1 * block / (block + 4) - hard + plus
    return {
        "task": task, "auc": float(np.clip(auc + rng.normal(0, 0.01), 0, 1)),
        "train_accuracy": min(1.0, auc + 0.05), "train_auc": min(1.0, auc + 0.08), **more,
    }  # fmt: skip


def _texts(key: Key, l0: float, loss: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return sums by text, and how many features are on."""
    rng = np.random.default_rng(list(map(ord, f"{key}")))
    block = Hook.parse(key.hook).block
    n = N_TRAIN + N_TEST
    size = 1.0 + block
    table = pd.DataFrame(
        {
            "example": np.arange(n), "dataset": "texts",
            "split": ["train"] * N_TRAIN + ["test"] * N_TEST,
            "active": rng.poisson(l0, n).astype(float), "active_centred": rng.poisson(l0, n) * 1.0,
            "squared_deviation": size * D_IN, "squared_deviation_centred": size * D_IN,
            "squared_error": loss * size * D_IN * rng.uniform(0.5, 1.5, n),
            "squared_error_centred": 0.8 * loss * size * D_IN * rng.uniform(0.5, 1.5, n),
            "directed": 1.0, "directed_centred": 1.0,
            "cosine": 1 - loss * rng.uniform(0.5, 1.5, n),
            "cosine_centred": 1 - 0.8 * loss * rng.uniform(0.5, 1.5, n),
        }
    )  # fmt: skip
    on = pd.DataFrame(
        {
            "dataset": ["texts"] * 2, "split": ["train", "test"], "n": [N_TRAIN, N_TEST],
            "on": [int(6 * l0), int(5 * l0)], "always": [block % 3, block % 3],
        }
    )  # fmt: skip
    return table, on
