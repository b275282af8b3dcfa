"""SAEs by position in the context that nobody trained: what is short breaks beyond its context."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.metrics.positions import ranges
from saeflow.tables.runs import ORIGINAL, Key, Record, Run

N_DOCUMENTS, LENGTH = 12, 256
SAES = {  # packing, training context, input_norm, how much beyond the context grows
    ("topk-8", "ctx-64"): (64, "none", 6.0),
    ("topk-8", "ctx-256"): (256, "none", 1.0),
    ("topk-8-normal", "ctx-64"): (64, "constant_norm", 2.0),
}
SUMS = ("tokens", "active", "activation", "squared_error", "norm", "squared_deviation",
        "predictions", "ce_clean", "ce_sae")  # fmt: skip


def runs(
    hooks: Sequence[str], n_seeds: int = 1, n_saes: int = 3, *, seen: bool = True
) -> tuple[Run, ...]:
    """Return a run of each of the first ``n_saes`` of `SAES` at each hook with each seed."""
    found = [
        _run(Key("world-s", "world", packing, hook, sae, seed, ORIGINAL, "world", "ctx-256"), seen)
        for hook in hooks
        for sae, packing in list(SAES)[:n_saes]
        for seed in range(n_seeds)
    ]
    return tuple(sorted(found, key=lambda run: run.key.order()))


def _run(key: Key, seen: bool) -> Run:
    context, norm, growth = SAES[key.sae, key.packing]
    block = int(key.hook.split(".")[1])
    parts = ("held_out", "seen") if seen else ("held_out",)
    table = pd.concat([_part(key, part, growth, block) for part in parts], ignore_index=True)
    why = "" if seen else "it was trained on another dataset"
    return Run(key, {"positions": _record(table, context, LENGTH, why, norm)})


def of_rows(
    rows: Sequence[tuple], *, context: int | None, length: int = 4, why: str = ""
) -> Record:
    """Return a record of part, special, document, first, last and what `SUMS` names."""
    names = ["part", "special", "document", "first", "last", *SUMS]
    table = pd.DataFrame([(*where, *values) for *where, values in rows], columns=names)
    return _record(table, context, length, why)


def _record(table, context, length, why, norm="none"):
    alone = table[table["first"] == table["last"]] if length < LENGTH else table
    exact = alone.groupby(["part", "special", "first"], sort=False)[list(SUMS)].sum().reset_index()
    facts = {
        "context_length": length, "training_context": context, "input_norm": norm,
        "why_unseen": why, "n_tokens": 1000, "n_documents": N_DOCUMENTS,
    }  # fmt: skip
    files = {
        "positions.parquet": table, "exact.parquet": exact.rename(columns={"first": "position"})
    }  # fmt: skip
    return Record(facts, files.__getitem__)


def _part(key: Key, part: str, growth: float, block: int) -> pd.DataFrame:
    rng = np.random.default_rng([key.seed, block, len(part), len(key.sae), len(key.packing)])
    ends = ranges(LENGTH)
    first, document = (a.ravel() for a in np.meshgrid(ends[:-1], np.arange(N_DOCUMENTS)))
    n = np.repeat(np.diff(ends)[None], N_DOCUMENTS, axis=0).ravel().astype(float)
    worse = np.where(first >= 64, growth ** np.log2(np.maximum(first, 64) / 32), 1.0)
    noise = 1 + 0.1 * rng.normal(size=len(n))
    easier = 0.9 if part == "seen" else 1.0
    spread = n * (1 + block) * 10
    return pd.DataFrame(
        {
            "part": part, "special": first == 0, "document": document, "first": first,
            "last": ends[np.searchsorted(ends, first, side="right")] - 1, "tokens": n,
            "active": n * 8 * worse**0.5 * noise, "activation": n * 20 * worse**0.5 * noise,
            "squared_error": 0.1 * spread * worse * noise * easier, "squared_norm_hat": spread,
            "norm": spread**0.5, "squared_norm": 2 * spread, "squared_deviation": spread,
            "predictions": n, "ce_clean": n * (2 - 0.1 * np.log2(first + 1)),
            "ce_sae": n * (2 - 0.1 * np.log2(first + 1) + 0.1 * worse * noise * easier),
        }
    )  # fmt: skip
