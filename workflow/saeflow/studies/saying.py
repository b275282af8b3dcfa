"""Numbers of tables in sentences: of one row with its interval, of several from least to most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from saeflow.studies.claims import OTHER, SAME

Say = Callable[[pd.DataFrame], Iterator[str]]
"""From a table to sentences."""


def paragraphs(tables: Mapping[str, pd.DataFrame], parts: Mapping[str, Say]) -> Iterator[str]:
    """Yield what is said of each table that is there, if anything is; in the order of ``parts``."""
    said = (" ".join(say(tables[name])) for name, say in parts.items() if name in tables)
    yield from filter(None, said)


def name_of(row: pd.Series) -> str:
    """Return which SAE a row of a table is about."""
    return f"{row['sae']} at {row['hook']}"


def estimate(row: pd.Series, name: str, form: str = ".3f") -> str:
    """Return a number of a row and its interval, if it has one."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    ends = "" if pd.isna(low) else f" [{format(low, form)}, {format(high, form)}]"
    return f"{format(value, form)}{ends}"


def span(values: pd.Series, form: str) -> str:
    """Return the least and the largest of some numbers, or the one that they all are."""
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"{low} to {high}"


def verdicts(table: pd.DataFrame, of: str = "the post") -> Iterator[str]:
    """Yield how many statements of a publication hold, of a table `published`."""
    judged = table[table["verdict"].isin((SAME, OTHER))]
    if len(judged):
        n = int((judged["verdict"] == SAME).sum())
        yield f"Of {len(judged)} statements of {of}, {n} hold here."
