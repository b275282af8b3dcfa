"""The panels of figures about features, which may be of several prompt sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from saeflow.figures.places import Place

PROMPTS = "prompts"
"""The column with the name of the prompt set."""
WHERE = {"reconstruction": "from x̂", "activations": "from x"}
"""What features are taken from, and how panels say it."""


def by_set(
    table: pd.DataFrame, places: Callable[[pd.DataFrame], Sequence[Place]], inner: str | None = None
) -> list[Place]:
    """Return the panels of each prompt set, and of each value of ``inner``, in rows of their own.

    Parameters
    ----------
    table
        Column `PROMPTS`, and what ``places`` needs.
    places
        From the rows of a set to their panels.
    inner
        A column of which each value has panels of its own.
    """
    several = table[PROMPTS].nunique() > 1
    found = []
    for name, of_set in table.groupby(PROMPTS, sort=False):
        groups = [("", of_set)] if inner is None else of_set.groupby(inner, sort=False)
        for value, rows in groups:
            what = WHERE.get(value, value)
            for place in places(rows):
                title = ", ".join(filter(None, (place.title, what, name if several else "")))
                found.append(place._replace(row=(str(name), str(value), *place.row), title=title))
    return found
