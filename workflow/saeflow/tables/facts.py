"""On how much a table rests, and what it notes of its SAEs, in words.

`extent` is for under one figure or table, `notes` for all tables of a study.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import FEW_DOCUMENTS
from saeflow.tables.builders import fewest_documents
from saeflow.tables.runs import NOTES

_SAE = ["model", "hook", "sae", "seed", "method"]


def extent(table: pd.DataFrame) -> str:
    """Return on how much a table rests, and what its intervals are."""
    parts = []
    saes = table[_SAE].drop_duplicates() if {*_SAE} <= {*table.columns} else pd.DataFrame()
    if n_saes := len(saes):
        seeds = _range(saes.groupby([n for n in _SAE if n != "seed"]).size().to_frame("n"), "n")
        seeds = f"{seeds} seed" if seeds == "1" else f"{seeds} seeds"
        parts.append(f"{_count(n_saes, 'SAE')} ({seeds} of each).")
    documents = _range(table, "n_documents")
    if tokens := _range(table, "n_tokens"):
        measured = f"{tokens} tokens of {documents} documents" if documents else f"{tokens} tokens"
        parts.append(f"Measured on {measured} of the test split, special tokens left out.")
        if any(str(name).endswith("_low") for name in table.columns):
            few = fewest_documents(table)
            rough = f" As few as {few:.0f} are drawn from: read them as rough." * (
                few < FEW_DOCUMENTS
            )
            parts.append(f"Intervals: 95 % bootstrap over documents.{rough}")
    if prompts := _range(table, "n_prompts"):
        parts.append(f"{prompts} prompts a set.")
        if any(str(name).endswith("_low") for name in table.columns):
            parts.append("Intervals: 95 % bootstrap over prompts.")
    if chosen := _range(table, "n_validation_documents"):
        parts.append(f"Ridges are chosen on {chosen} documents of the validation split.")
    if "task" in table and (prompts := _range(table, "n")):
        parts.append(f"{prompts} prompts or tokens a task.")
        parts.append("Intervals: 95 %, Wilson over prompts; for a loss, bootstrap over documents.")
    return " ".join(parts)


def notes(tables: Iterable[pd.DataFrame]) -> list[str]:
    """Return what tables note of their SAEs, those with one note and one parent together."""
    columns = [*_SAE, "notes"]
    tables = [table for table in tables if {*columns} <= {*table.columns}]
    if not tables:
        return []
    noted = pd.concat([table[columns] for table in tables]).dropna(subset="notes")
    if noted.empty:  # without any, they are read back from a file as numbers
        return []
    noted = noted.assign(notes=noted["notes"].str.split(NOTES, regex=False)).explode("notes")
    noted = noted[noted["notes"] != ""].drop_duplicates()
    found = []
    for (model, hook, sae, seed, note), rows in noted.groupby([*_SAE[:-1], "notes"], sort=False):
        methods = ", ".join(rows["method"])
        found.append(f"{model}, {hook}, {sae}, seed {seed} ({methods}): {note}")
    return found


def _range(table: pd.DataFrame, column: str) -> str:
    """Return the least and the largest number of a column, "" where it has none."""
    if column not in table:
        return ""
    values = np.asarray(pd.to_numeric(table[column], errors="coerce"), float)
    values = values[np.isfinite(values)]
    if not values.size:
        return ""
    low, high = f"{values.min():,.0f}", f"{values.max():,.0f}"
    return low if low == high else f"{low} to {high}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
