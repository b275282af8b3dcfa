"""What is behind the matches of SAEs that nobody trained: contexts and known facts, as measured.

Facts are told by the features that all SAEs have in common: fact i by feature 2 i, with the F1 that
`f1_of` says. `study` adds the records to those of `made_up_pairs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import made_up_pairs
from saeflow.metrics.facts import COLUMNS, COUNTS, FACTS
from saeflow.tables.runs import Key, Record, Run
from saeflow.world.facts import KINDS

N_FACTS, N_DOCUMENTS, POSITIVE = 12, 3, 10
WORDS = ("once upon a time", "two\nlines of $text$", "the quick brown fox jumps over it", "…")


def study(comparisons: Mapping[str, Any], *, n_facts: int = N_FACTS, **own: Any):
    """Return a study of `made_up_pairs` with contexts and facts of every SAE."""
    made = made_up_pairs.study(comparisons, **own)
    runs = tuple(_with(run, n_facts) if not run.key.other else run for run in made.runs)
    return made._replace(runs=runs)


def f1_of(key: Key, fact: int) -> float:
    """Return the F1 of the latent that tells a fact best: the last third are never found.

    The first third are found by all; those in the middle by SAEs of even seeds.
    """
    third = fact * 3 // N_FACTS
    return {0: 0.9, 1: 0.8 if key.seed % 2 == 0 else 0.5}.get(third, 0.3)


def latent_of(key: Key, fact: int) -> int:
    """Return the latent that tells a fact best, which is live."""
    live = made_up_pairs.codes(key).table("latents.parquet").query("status == 'live'")
    return int(live["latent"].iloc[2 * fact % len(live)])


def _with(run: Run, n_facts: int) -> Run:
    key = run.key.training
    records = {**run.records, "contexts": contexts(key), "facts": facts(key, n_facts)}
    return replace(run, records=records)


def contexts(key: Key, n: int = 4) -> Record:
    """Return where the live latents of an SAE are most active."""
    latents = made_up_pairs.codes(key).table("latents.parquet").query("status == 'live'")["latent"]
    rows = [
        (latent, rank, 100 * rank + latent, 6.0 - rank, rank,
         f"{WORDS[(latent + rank) % len(WORDS)]} and ", f"token{latent}", " goes on here")
        for latent in latents for rank in range(n)
    ]  # fmt: skip
    names = ("latent", "rank", "row", "activation", "document", "before", "token", "after")
    table = pd.DataFrame(rows, columns=names)
    counts = {"n_tokens": made_up_pairs.N_TOKENS, "n_documents": made_up_pairs.N_DOCUMENTS}
    return Record(counts, {"contexts.parquet": table}.__getitem__)


def facts(key: Key, n_facts: int = N_FACTS) -> Record:
    """Return what the latents of an SAE tell of facts."""
    kinds = [KINDS[i * len(KINDS) // n_facts] for i in range(n_facts)]
    names = [f"fact {i}" for i in range(n_facts)]
    n = POSITIVE * N_DOCUMENTS
    chosen = pd.DataFrame(
        {
            "fact": names, "kind": kinds, "n_validation": n, "n": n,
            "latent": [latent_of(key, i) for i in range(n_facts)], "threshold": 0.5,
            "f1_validation": 0.8, "auc": 0.9, "latents": [np.arange(1)] * n_facts,
            "absorbing": [np.arange(0)] * n_facts,
        }
    )  # fmt: skip
    counts = pd.DataFrame(0.0, index=range(n_facts * N_DOCUMENTS), columns=list(COLUMNS))
    counts["positive"] = counts["best_fired"] = float(POSITIVE)
    counts["best_hits"] = np.repeat([POSITIVE * f1_of(key, i) for i in range(n_facts)], N_DOCUMENTS)
    counts.insert(0, "document", np.tile(np.arange(N_DOCUMENTS), n_facts))
    counts.insert(0, "fact", np.repeat(names, N_DOCUMENTS))
    size = {"n_tokens": 600, "n_documents": N_DOCUMENTS, "l0": 8.0, "d_sae": 64}
    return Record(size, {FACTS: chosen, COUNTS: counts}.__getitem__)
