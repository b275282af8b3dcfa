"""Facts of SAEs that nobody trained, in memory as a measurement leaves them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from saeflow.hooks import Hook
from saeflow.metrics.facts import COLUMNS, COUNTS, FACTS
from saeflow.tables.runs import Key, Record, Run
from saeflow.world.facts import CONTEXT, LEXICAL, ROLE

N_DOCUMENTS = 12
BASELINES = {"neurons": "identity", "pca": "pca", "random-32": "random"}
KINDS = (LEXICAL, ROLE, CONTEXT)


def run(key: Key, facts: pd.DataFrame, counts: pd.DataFrame, *, l0=32.0, d_sae=512) -> Run:
    """Return a run of a measurement and of the SAE, a baseline by its name."""
    measured = {
        "n_tokens": 1200, "n_documents": counts["document"].nunique(), "l0": l0, "d_sae": d_sae,
    }  # fmt: skip
    sae = {"architecture": "topk", "baseline": BASELINES.get(key.sae)}
    tables = {FACTS: facts, COUNTS: counts}
    return Run(
        key, {"facts": Record(measured, tables.__getitem__), "sae": Record(sae, {}.__getitem__)}
    )


def key(sae="topk-32", hook="resid_post.1", seed=0, model="world-s") -> Key:
    """Return a key."""
    return Key(model, "world", "p", hook, sae, seed, eval_dataset="world", eval_packing="p")


def chosen(names, kinds, n_latents=None) -> pd.DataFrame:
    """Return what was chosen of facts: latents 0, 1, ..., and as many as one likes for each."""
    n_latents = n_latents or [1] * len(names)
    return pd.DataFrame(
        {
            "fact": names, "kind": kinds, "n_validation": 40, "n": 50,
            "latent": range(len(names)), "threshold": 0.5, "f1_validation": 0.8, "auc": 0.9,
            "latents": [np.arange(n) for n in n_latents],
            "absorbing": [np.array([7, 7, 9])] * len(names),
        }
    )  # fmt: skip


def grid(n_hooks=4, saes=("topk-32",), n_seeds=1, n_facts=40, models=("world-s",)) -> tuple[Run]:
    """Return the runs of a study: later hooks tell less, baselines little."""
    kinds = [KINDS[i * 3 // n_facts] for i in range(n_facts)]
    names = [f"{kind} fact {i}" for i, kind in enumerate(kinds)]
    found = []
    for model in models:
        for block in range(n_hooks):
            for i, sae in enumerate((*saes, *BASELINES)):
                for seed in range(n_seeds):
                    own = key(sae, f"resid_post.{block}", seed, model)
                    rng = np.random.default_rng([block, i, seed, len(model)])
                    level = 0.2 if sae in BASELINES else 0.75 - 0.3 * block / n_hooks
                    counts = _counts(names, level, rng)
                    n_latents = rng.integers(1, 5, n_facts).tolist()
                    size = {"l0": 8.0 * (i + 1), "d_sae": 512 * (1 + i % 2)}
                    found.append(run(own, chosen(names, kinds, n_latents), counts, **size))
    return tuple(sorted(found, key=lambda one: (one.key.model, Hook.parse(one.key.hook))))


def _counts(names, level, rng) -> pd.DataFrame:
    parts = []
    for i, name in enumerate(names):
        share = np.clip(level + 0.25 * np.cos(i) + 0.05 * rng.normal(), 0.02, 0.98)
        positive = rng.integers(2, 9, N_DOCUMENTS)
        hits = rng.binomial(positive, share)
        columns = {"fact": name, "document": np.arange(N_DOCUMENTS), "positive": positive}
        for detector, better in (("best", 0), ("active", -0.2), ("union", 0.1), ("probe", 0.3)):
            own = np.round(np.clip(hits + better * (positive - hits), 0, positive))
            columns |= {f"{detector}_hits": own, f"{detector}_fired": positive}
        columns["absorbed"] = rng.binomial(positive, 0.1)
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)[["fact", "document", *COLUMNS]]
