"""Measurements of edits that nobody made: hooks, SAEs, seeds and tasks as one asks for.

What is known: LEACE leaves nothing and costs little, features take a concept out by and by, an old
reader loses it at once, and steering by the difference of means has an effect equal to its
strength, at a cost of its square.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.tables.runs import Key, Record, Run

N_TEST, N_TEXTS, TOKENS = 60, 20, 50
SIZES, STRENGTHS = (1, 4, 16), (-2.0, -1.0, 1.0, 2.0)
APART = 2.0  # of the scores of the two classes, in standard deviations, without an edit


def runs(
    hooks: Sequence[str],
    saes: Sequence[str],
    n_seeds: int = 1,
    tasks: Sequence[str] = ("film.tone",),
    others: Sequence[str] = ("film.length",),
    entries: Sequence[str] = ("reviews",),
    *,
    words: bool = True,
) -> tuple[Run, ...]:
    """Return a run of the measure ``erasure`` per hook, SAE, seed and labelled entry."""
    return tuple(
        Run(
            Key("m", "d", "p", hook, sae, seed, eval_dataset=entry, eval_packing="labelled"),
            {"erasure": record(list(tasks), list(others), seed + 10 * i, block, words=words)},
        )
        for entry in entries
        for block, hook in enumerate(hooks)
        for i, sae in enumerate(saes)
        for seed in range(n_seeds)
    )


def record(tasks: list[str], others: list[str], seed: int, block: int, *, words: bool) -> Record:
    """Return one measurement; what needs no SAE is the same for all seeds."""
    edits, readings, texts = [], [], []
    for task in tasks:
        for kind, way, n, strength in _edits():
            number = len(edits)
            latents = list(range(n))
            edits.append((number, task, kind, way, n, strength, 1.5, latents))
            rng = np.random.default_rng([number if n == 0 else 100 + number + seed, block])
            if kind != "steering":
                for of in (*tasks, *others):
                    readings.append(_read(number, of, way, n, rng, own=of == task))
            texts.append(_texts(number, way, n, strength, rng, words=words))
    names = ["edit", "task", "kind", "way", "n_features", "strength", "distance", "latents"]
    tables = {
        "edits.parquet": pd.DataFrame(edits, columns=names),
        "readings.parquet": pd.concat(readings, ignore_index=True),
        "texts.parquet": pd.concat(texts, ignore_index=True),
    }
    facts = {"tasks": tasks, "read": [*tasks, *others], "n_tokens": 1, "n_documents": 1}
    return Record(facts, tables.__getitem__)


def _edits():
    yield "none", "none", 0, 0.0
    for way in ("leace", "mean_difference", "random_direction"):
        yield "removal", way, 0, 0.0
    for way in ("mean_difference", "random_direction"):
        for strength in STRENGTHS:
            yield "steering", way, 0, strength
    for way in ("features", "random_features"):
        for n in SIZES:
            yield "removal", way, n, 0.0
    for strength in STRENGTHS:
        yield "steering", "features", 1, strength


def _left(way: str, n: int) -> float:
    """Return which share of the distance of the classes a removal leaves."""
    shares = {"none": 1.0, "leace": 0.0, "mean_difference": 0.05, "random_direction": 0.95}
    return shares.get(way, 1 / (1 + np.log2(n + 1)) if way == "features" else 0.9)


def _read(number: int, of: str, way: str, n: int, rng, *, own: bool) -> pd.DataFrame:
    label = np.arange(N_TEST) % 2
    noise = np.random.default_rng(0).standard_normal(N_TEST)
    left = _left(way, n) if own else 0.5 + 0.5 * _left(way, n)
    old = left if way == "none" or not own else left - 0.4
    return pd.DataFrame(
        {
            "edit": number, "of": of, "example": 7 * np.arange(N_TEST) + 1, "label": label,
            "old": (noise + APART * old * label).astype(np.float32),
            "fresh": (noise + APART * left * label).astype(np.float32),
        }
    )  # fmt: skip


def _texts(number: int, way: str, n: int, strength: float, rng, *, words: bool) -> pd.DataFrame:
    base = np.random.default_rng(1).normal(3.0, 0.2, N_TEXTS) * TOKENS
    cost = {"none": 0.0, "leace": 0.01, "mean_difference": 0.05, "random_direction": 0.002}
    added = 0.02 * strength**2 if strength else cost.get(way, 0.01 * n * (1 + (way == "features")))
    share = {"mean_difference": 1.0, "features": 0.6}.get(way, 0.05)
    effect = share * strength
    spread = 0.0 if number == 0 else 0.1
    return pd.DataFrame(
        {
            "edit": number, "example": 3 * np.arange(N_TEXTS), "label": np.arange(N_TEXTS) % 2,
            "tokens": float(TOKENS),
            "ce": base + TOKENS * added * (1 + spread * rng.standard_normal(N_TEXTS)),
            "logit_difference": 0.5 * effect if words else np.nan,
            "end_score": effect + spread * rng.standard_normal(N_TEXTS),
        }
    )  # fmt: skip
