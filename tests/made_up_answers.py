"""Answers to prompt sets that nobody gave: sums of many SAEs for tables and figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.hooks import Hook
from saeflow.tables.runs import DOCUMENTS, Key, Record, Run

SETS = {"lambada": "last_word", "cbt": "cloze", "ioi": "choice", "owner": "choice"}
N = 80
_TEXTS = {"end": "... went to the", "answer": "shop", "top_clean": " shop", "top": " house"}


def runs(
    hooks: Sequence[str], recipes: Sequence[str], n_seeds: int, sets: Sequence[str] = tuple(SETS)
) -> tuple[Run, ...]:
    """Return the runs of SAEs on prompt sets; later blocks lose more answers."""
    found = [
        _run(Key("small", "d", "p", hook, recipe, seed, eval_dataset=name, eval_packing="prompts"))
        for name in sets
        for hook in hooks
        for recipe in recipes
        for seed in range(n_seeds)
    ]
    return tuple(sorted(found, key=lambda run: run.key.order()))


def _run(key: Key) -> Run:
    kind, block = SETS[key.eval_dataset], Hook.parse(key.hook).block
    rng = np.random.default_rng([key.seed, *map(ord, key.hook + key.sae)])
    same = np.random.default_rng(len(key.eval_dataset))
    log_p = -3 * same.random(N)
    lost = 0.1 * (1 + block) * rng.exponential(size=N) - 0.1
    norm = np.exp(same.normal(size=N) / 3) * (5 + block)
    chosen, contrasts = float(kind != "last_word"), float(kind == "choice")
    sums = {
        "prompts": np.ones(N), "choices": np.full(N, chosen), "chance": np.full(N, 0.1 * chosen),
        "contrasts": np.full(N, contrasts), "log_p_clean": log_p, "log_p_sae": log_p - lost,
        "log_p_first_clean": log_p, "log_p_first_sae": log_p - lost, "kl": np.abs(lost),
        "logit_diff_clean": 2 + log_p, "logit_diff_sae": 2 + log_p - lost,
        "ce_tokens": np.full(N, 20.0), "ce_clean": np.full(N, 60.0), "ce_sae": 60 + 20 * lost,
        "window": np.full(N, 8.0), "mse_tokens": np.full(N, 8.0), "norm": 8 * norm,
        "active": 8 * (20 + 5 * rng.random(N)), "activation": 8 * (30 + rng.random(N)),
        "squared_error": 8 * norm * rng.random(N), "mse": 0.1 * norm * rng.random(N),
    }  # fmt: skip
    for by in ("clean", "sae"):
        for name in ("right", "right_first", "right_choice", "preferred"):
            sums[f"{name}_{by}"] = (sums[f"log_p_{by}"] > -1.2).astype(float)
    documents = pd.DataFrame({"document": np.arange(N), **sums})
    texts = pd.DataFrame({"prompt": np.arange(N), **_TEXTS})
    facts = {"kind": kind, "n_tokens": 22 * N, "n_documents": N, "window": 8}
    architecture = "topk" if key.sae.startswith("topk") else "relu"
    baseline = {"baseline": "mean"} if key.sae == "mean" else {}
    return Run(
        key,
        {
            "answers": Record(facts, {DOCUMENTS: documents, "prompts.parquet": texts}.__getitem__),
            "sae": Record({"architecture": architecture, **baseline}, {}.__getitem__),
        },
    )
