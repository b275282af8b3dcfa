"""Probes that nobody fitted: fits and scores of chosen AUC, for tables and figures.

`record` makes the record of one measurement of chosen fits; `runs` whole studies of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from saeflow.hooks import Hook
from saeflow.tables.runs import Key, Record, Run

N_TEST = 40
"""Texts on which each task is tested, half of them positive."""
FIT = {
    "task": "a", "setting": "normal", "level": np.nan, "seed": 0, "method": "logistic",
    "input": "states", "pooling": "last", "k": 0, "n_train": 100, "n_features": 16,
    "validation_auc": 0.5, "train_accuracy": 1.0, "train_auc": 1.0, "converged": True,
    "latents": (),
}  # fmt: skip
"""What a fit is that is not said to be otherwise."""
LEVELS = {
    "normal": (np.nan,), "shift": (np.nan,), "shuffled": (np.nan,),
    "scarcity": (8.0, 32.0, 128.0), "imbalance": (0.1, 0.5), "noise": (0.1, 0.3),
}  # fmt: skip
METHODS = ("logistic", "pca", "knn", "boosting", "mlp")
KS = (1, 16, 128)


@lru_cache(maxsize=1 << 12)
def scores(auc: float, n: int = N_TEST) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and scores (n,) with this share of pairs in the right order, up to rounding.

    No two scores are equal; every other text is positive.
    """
    labels = np.arange(n) % 2
    n_positive, n_negative = n // 2, n - n // 2
    right = round(auc * n_positive * n_negative)
    below = right // n_positive + (np.arange(n_positive) < right % n_positive)
    found = np.empty(n)
    found[labels == 0] = np.arange(n_negative)
    found[labels == 1] = below - 0.5 + np.arange(n_positive) / (2 * n_positive) - 0.25
    return labels, found - n_negative / 2


def record(fits: Iterable[Mapping[str, Any]], datasets: Mapping[str, str] | None = None) -> Record:
    """Return what measured these fits: each has an ``auc`` and what is not as in `FIT`.

    Fits are in the order of their numbers; ``datasets`` says of tasks their dataset, by default
    themselves.
    """
    fits = [{**FIT, **fit} for fit in fits]
    tasks = list(dict.fromkeys(fit["task"] for fit in fits))
    datasets = datasets or {task: task for task in tasks}
    labels, found = zip(*(scores(fit.pop("auc")) for fit in fits), strict=True)
    first = [1000 * tasks.index(f["task"]) + 500 * (f["setting"] == "shift") for f in fits]
    columns = {
        "fit": np.repeat(np.arange(len(fits)), N_TEST),
        "example": (np.array(first)[:, None] + np.arange(N_TEST)).ravel(),
        "label": np.concatenate(labels).astype(np.int8),
        "score": np.concatenate(found).astype(np.float32),
    }
    numbered = pd.DataFrame([{**fit, "fit": number} for number, fit in enumerate(fits)])
    texts = {"example": np.unique(columns["example"]), "active": 20.0}
    tables = {
        "fits.parquet": numbered,
        "scores.parquet": pd.DataFrame(columns),
        "examples.parquet": pd.DataFrame(texts),
    }
    facts = {"tasks": {task: {"dataset": datasets[task]} for task in tasks}}
    return Record(facts, tables.__getitem__)


def runs(
    hooks: Sequence[str],
    recipes: Sequence[str],
    *,
    n_seeds: int = 1,
    n_tasks: int = 3,
    n_draws: int = 1,
    labelled: str = "texts",
    settings: Sequence[str] = tuple(LEVELS),
) -> tuple[Run, ...]:
    """Return a study's runs of dense and sparse probes.

    Tasks differ in how hard they are; the best of the states' probes is logistic regression, codes
    give a little less, less so with more latents and at later blocks; fewer training examples and
    flipped labels cost all of them.

    Of the tasks every second two share a dataset; ``n_draws`` are the training sets of each setting
    that is drawn.
    """
    tasks = {f"task-{i}": f"data-{i - (i % 4 == 1)}" for i in range(n_tasks)}
    found = []
    for hook in hooks:
        on = {"hook": hook, "eval_dataset": labelled, "eval_packing": "labelled"}
        cells = [
            (task, setting, level, draw)
            for task in tasks
            for setting in settings
            for level in LEVELS[setting]
            for draw in range(1 if setting in ("normal", "shift") else n_draws)
        ]
        dense = [fit for cell in cells for fit in _dense(hook, *cell)]
        found.append(Run(Key("small", **on), {"dense_probes": record(dense, tasks)}))
        for recipe in recipes:
            for seed in range(n_seeds):
                key = Key("small", "d", "p", sae=recipe, seed=seed, **on)
                sparse = [fit for cell in cells for fit in _sparse(hook, recipe, seed, *cell)]
                probes = record(sparse, tasks)
                found.append(Run(key, {"sparse_probes": probes, "sae": sae_record(recipe)}))
    return tuple(sorted(found, key=lambda run: run.key.order()))


def only(table: pd.DataFrame, /, **columns: Any) -> pd.DataFrame:
    """Return the rows of a table that have these values in these columns."""
    for name, value in columns.items():
        table = table[table[name] == value]
    return table


def row(table: pd.DataFrame, /, **columns: Any) -> pd.Series:
    """Return the one row that has these."""
    (found,) = only(table, **columns).iloc
    return found


def sae_record(recipe: str) -> Record:
    """Return the record of an SAE; one of a name that begins with "random" is a baseline."""
    baseline = {"baseline": "random"} if recipe.startswith("random") else {}
    width = 512 if recipe.endswith("wide") else 128
    facts = {"architecture": "topk", "d_sae": width, "training": {"tokens": 1}, **baseline}
    return Record(facts, {}.__getitem__)


def _dense(hook: str, *cell: Any) -> Iterator[dict]:
    for place, method in enumerate(METHODS):
        yield _fit(hook, *cell, method, -0.01 * place, input="states")


def _sparse(hook: str, recipe: str, seed: int, *cell: Any) -> Iterator[dict]:
    loss = -0.15 if recipe.startswith("random") else -0.02 - 0.01 * seed
    loss += 0.03 * ("wide" in recipe)
    for k in KS:
        own = {"k": k, "n_features": k, "latents": tuple(range(k))}
        yield _fit(hook, *cell, "k_sparse", loss - 0.15 / np.sqrt(k), input="codes", **own)
    yield _fit(hook, *cell, "logistic", loss, input="codes")


def _fit(
    hook: str, task: str, setting: str, level: float, draw: int, method: str, plus: float,
    **more: Any,
) -> dict[str, Any]:  # fmt: skip
    named = f"{hook}{task}{setting}{level}{method}{more.get('k')}{more['input']}"
    rng = np.random.default_rng(crc32(named.encode()))
    hard = 0.06 * (int(task.partition("-")[2]) % 5)
    auc = 0.9 + 0.005 * Hook.parse(hook).block - hard + plus
    auc += {
        "scarcity": -0.4 / np.sqrt(level), "imbalance": -0.2 * abs(level - 0.5),
        "noise": -0.4 * level, "shift": -0.15,
    }.get(setting, 0.0)  # fmt: skip
    auc = 0.5 if setting == "shuffled" else auc
    noise, of_validation = rng.normal(0, 0.02 if setting != "shuffled" else 0.06, 2)
    return {
        "task": task, "setting": setting, "level": level, "seed": draw, "method": method,
        "n_train": int(level) if setting == "scarcity" else 1000,
        "auc": round(float(np.clip(auc + noise - 0.01 * draw, 0, 1)), 3),
        "validation_auc": float(np.clip(auc + of_validation, 0, 1)), **more,
    }  # fmt: skip
