"""What is said of crosscoders."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from saeflow.studies.saying import span
from saeflow.studies.universality.crosscoders import EXCHANGED, MATCHED


def of_places(table: pd.DataFrame) -> Iterator[str]:
    """Yield how much of its dictionaries a crosscoder shares between places."""
    for row in table.itertuples():
        places = f"{row.model} {row.hook} and {row.other_model} {row.other_hook}"
        what = " (one of them of shuffled weights)" if row.shuffled else ""
        yield (
            f"Of {row.live} live features of the crosscoder {row.sae} of {places}{what},"
            f" {row.shared:.0%} are shared, {row.own:.0%} are the first place's alone and"
            f" {row.other:.0%} the second's."
        )


def agreeing(table: pd.DataFrame) -> Iterator[str]:
    """Yield whether matched features of two SAEs are one feature of the crosscoder."""
    own = table[~table["shuffled"].astype(bool)].dropna(subset=["found"])
    matched, exchanged = (own[own["kind"] == kind]["found"] for kind in (MATCHED, EXCHANGED))
    if len(matched) and len(exchanged):
        yield (
            f"Of matched features of SAEs at the two places of a crosscoder {span(matched, '.0%')}"
            f" are one of its features, with exchanged partners {span(exchanged, '.0%')}."
        )
