"""What is behind matches, in words. Read `known`."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from saeflow.studies.classification.facts import EVERY
from saeflow.studies.saying import estimate
from saeflow.studies.universality.matches.facts import CORRELATION


def known(table: pd.DataFrame) -> Iterator[str]:
    """Yield whether SAEs find the same facts, and whether features of facts match better.

    Parameters
    ----------
    table
        That of `saeflow.studies.universality.matches.facts.facts_universal`.
    """
    own = table[(table["kind"] == EVERY) & (table["similarity"] == CORRELATION)]
    if own.empty:
        return
    row, others = own.iloc[0], own.iloc[1:].dropna(subset="more")
    yield (
        f"Of {row['n_facts']:.0f} known facts of the world, all {row['n_saes']:.0f} SAEs of"
        f" '{row['comparison']}' find {row['found_by_all']:.0f} by a single feature, and none finds"
        f" {row['found_by_none']:.0f}."
    )
    if row["n_compared"]:
        yield (
            f"Features that find a fact correlate with their best matches by {row['value']:.2f} in"
            f" the mean, others that are as frequent by {row['alike']:.2f} (difference"
            f" {estimate(row, 'more', '+.2f')}); the match finds the same fact in"
            f" {row['same']:.0%} of cases."
        )
    if len(others):
        said = (
            f"{estimate(row, 'more', '+.2f')} ({row['comparison']})" for _, row in others.iterrows()
        )
        yield f"Elsewhere that difference is {', '.join(said)}."
