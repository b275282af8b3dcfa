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
    for _, row in own.iterrows():
        yield (
            f"Of {row['n_facts']:.0f} known facts of the world, all {row['n_saes']:.0f} SAEs of"
            f" '{row['comparison']}' find {row['found_by_all']:.0f} by a single feature, and none"
            f" finds {row['found_by_none']:.0f}."
        )
        if row["n_compared"]:
            yield (
                f"Features that find a fact correlate with their best matches by"
                f" {row['value']:.2f} in the mean, others that are as frequent by"
                f" {row['alike']:.2f} (difference {estimate(row, 'more', '+.2f')}); the match finds"
                f" the same fact in {row['same']:.0%} of cases."
            )
