"""Which rows of the tables of positions a figure shows."""

from __future__ import annotations

import pandas as pd

from saeflow.metrics.positions import HELD_OUT

SAE = ["sae", "packing"]
"""What tells recipes apart that were trained at several contexts."""


def of_shortest_context(table: pd.DataFrame) -> pd.DataFrame:
    """Select the first SAE of the shortest training context, on other documents than its own.

    Special tokens are left out. Where there are no other documents, those of the training stay.
    """
    return _first(ordinary(table))


def with_special(table: pd.DataFrame) -> pd.DataFrame:
    """Select the same SAE with BOS and separators in their places, as the post has them."""
    return _first(_held_out(table))


def ordinary(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of all SAEs on held-out documents, special tokens left out."""
    return _held_out(table[~table["special"].astype(bool)])


def _held_out(table: pd.DataFrame) -> pd.DataFrame:
    held_out = table[table["part"] == HELD_OUT]
    return table if held_out.empty else held_out


def _first(table: pd.DataFrame) -> pd.DataFrame:
    context = pd.to_numeric(table["training_context"])
    if context.notna().any():
        table = table[context == context.min()]
    first = table[SAE].iloc[0] if len(table) else None
    return table if first is None else table[(table[SAE] == first).all(axis=1)]
