"""On how much a table rests: tokens, documents, prompts and seeds, as numbers and as a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

INTERVALS = {
    "documents": "Intervals: 95 % bootstrap over documents.",
    "prompts": "Intervals: 95 %, Wilson over prompts; for a loss, bootstrap over documents.",
}


def facts(table: pd.DataFrame) -> dict[str, Any]:
    """Return what a table says of its own extent.

    Returns
    -------
    dict
        Ranges [least, most] ``n_tokens``, ``n_documents`` and ``n`` of those columns that are
        there; ``n_saes`` and ``seeds``; ``interval``, a key of `INTERVALS`, where there are any.
    """
    found: dict[str, Any] = {}
    for name in ("n_tokens", "n_documents", "n"):
        if name in table and table[name].notna().any():
            found[name] = [int(table[name].min()), int(table[name].max())]
    if "sae" in table:
        keys = table[["model", "hook", "sae", "seed", "method"]].drop_duplicates()
        found["n_saes"] = len(keys)
        found["seeds"] = sorted(int(seed) for seed in table["seed"].unique())
    if "n" in found:
        found["interval"] = "prompts"
    elif "n_documents" in found and any(name.endswith("_low") for name in table.columns):
        found["interval"] = "documents"
    return found


def sentence(found: Mapping[str, Any]) -> str:
    """Return the facts in words, for under a caption."""
    parts = []
    if "n_saes" in found:
        n_seeds = len(found["seeds"])
        parts.append(
            f"{_count(found['n_saes'], 'SAE')} ({_count(n_seeds, 'seed')} of each)."
            if "n_tokens" in found
            else f"{_count(found['n_saes'], 'SAE')}."
        )
    if "n_tokens" in found:
        parts.append(
            f"Measured on {_range(found['n_tokens'])} tokens"
            f" of {_range(found['n_documents'])} documents of the test split,"
            " special tokens left out."
        )
    if "n" in found:
        parts.append(f"{_range(found['n'])} prompts or tokens a task.")
    if "interval" in found:
        parts.append(INTERVALS[found["interval"]])
    return " ".join(parts)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _range(ends: list[int]) -> str:
    low, high = ends
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
