"""Features that nobody trained: answers and ablations of many SAEs for tables and figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.hooks import Hook
from saeflow.measures.ablations.ablating import WHERE
from saeflow.measures.ablations.feature_scores import choose, score_features, sets_of
from saeflow.tables.runs import DOCUMENTS, Key, Record, Run

N, D_SAE = 60, 300
SETTINGS = {"features": 8, "seed": 0}
_WORDS = "the cat sat on a mat and Anna gave her old lantern to Benjamin Whitlock".split()


def runs(
    hooks: Sequence[str],
    recipes: Sequence[str] = ("topk-8",),
    n_seeds: int = 1,
    sets: Sequence[str] = ("lambada",),
) -> tuple[Run, ...]:
    """Return the runs of SAEs on prompt sets, of which the first has ablations."""
    found = [
        _run(
            Key("small", "d", "p", hook, recipe, seed, eval_dataset=name, eval_packing="prompts"),
            ablated=name == sets[0],
        )
        for name in sets
        for hook in hooks
        for recipe in recipes
        for seed in range(n_seeds)
    ]
    return tuple(sorted(found, key=lambda run: run.key.order()))


def _run(key: Key, *, ablated: bool) -> Run:
    rng = np.random.default_rng([key.seed, *map(ord, key.hook + key.sae + key.eval_dataset)])
    delta = rng.normal(-0.2 * (1 + Hook.parse(key.hook).block), 1.0, N)
    rows = [
        (p, i) for i in range(D_SAE) for p in np.flatnonzero(rng.random(N) < 0.9 * (i / D_SAE) ** 3)
    ]
    active = pd.DataFrame(rows, columns=["prompt", "latent"])
    active = active.assign(
        n_active=rng.integers(1, 4, len(active)), max_activation=rng.exponential(size=len(active))
    )
    active["sum_activation"] = active["max_activation"] * active["n_active"]
    sums = {"log_p_clean": np.full(N, -1.0), "log_p_sae": -1.0 + delta}
    documents = pd.DataFrame({"document": np.arange(N), **sums})
    records = {
        "answers": _record({DOCUMENTS: documents, "features.parquet": active}),
        "sae": Record({"architecture": "topk", "d_sae": D_SAE}, {}.__getitem__),
    }
    if ablated:
        records["ablations"] = _record(_ablations(delta, active, rng))
    return Run(key, records)


def _record(tables: dict[str, pd.DataFrame]) -> Record:
    return Record({"n_prompts": N}, tables.__getitem__)


def _ablations(delta, active, rng) -> dict[str, pd.DataFrame]:
    chosen = choose(score_features(delta, active, D_SAE), SETTINGS["features"], SETTINGS["seed"])
    n = len(chosen)
    effects = pd.DataFrame(
        [
            (latent, p, where, rng.normal(0, 0.1), rng.random() < 0.5, rng.random() < 0.5)
            for latent in chosen["latent"]
            for p in rng.permutation(active.loc[active["latent"] == latent, "prompt"])[:12]
            for where in WHERE
        ],
        columns=["latent", "prompt", "where", "effect", "right_with", "right_without"],
    )
    sets = pd.DataFrame(
        [
            (*key, p, where, rng.normal(0, 0.1) * key[1], rng.random() < 0.5, rng.random() < 0.5)
            for key in sets_of(chosen)
            for p in range(12)
            for where in WHERE
        ],
        columns=["kind", "size", "prompt", "where", "effect", "right_with", "right_without"],
    )
    told = chosen.loc[chosen[["worst", "best"]].any(axis=1), "latent"]
    contexts = pd.DataFrame(
        [
            (latent, p, 2.0 - p, " ".join(rng.choice(_WORDS, 12)), f" {rng.choice(_WORDS)}", "shop",
             -0.3, True, False)
            for latent in told
            for p in range(2)
        ],
        columns=["latent", "prompt", "activation", "before", "token", "answer", "delta_log_p",
                 "right_clean", "right_sae"],
    )  # fmt: skip
    features = chosen.assign(
        top_token="the",
        token_purity=rng.random(n),
        seen=rng.integers(10, 400, n),
        raised="lantern old Anna",
        lowered="mat $x$ a",
        logit_kurtosis=rng.exponential(size=n),
    )
    return {
        "effects.parquet": effects,
        "sets.parquet": sets,
        "contexts.parquet": contexts,
        "features.parquet": features,
    }
