"""What the study found, as paragraphs of numbers from its tables. Read `summary`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from saeflow.studies.saying import Say, paragraphs
from saeflow.studies.universality.crosscoders.summary import agreeing, of_places
from saeflow.studies.universality.fates.summary import absorbed, fates, shared, shares, split
from saeflow.studies.universality.matches.summary import known
from saeflow.studies.universality.pairs.summary import counted, similar

Tables = Mapping[str, pd.DataFrame]

PARTS: dict[str, Say] = {
    "similarity": similar,
    "counts": counted,
    "factorial": fates,
    "fate_shares": shares,
    "found_ranked": shared,
    "children": split,
    "absorption": absorbed,
    "facts_universal": known,
    "crosscoder_shares": of_places,
    "crosscoder_agreement": agreeing,
}
"""Table -> what is said of it, in this order."""


def summary(tables: Tables) -> str:
    """Return what was found.

    Parameters
    ----------
    tables
        Name -> table, of those that the study has; it says nothing of those that are missing.

    Returns
    -------
    str
        Paragraphs.
    """
    return "\n\n".join(paragraphs(tables, PARTS))
