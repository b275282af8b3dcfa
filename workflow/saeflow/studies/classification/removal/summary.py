"""What was found of removal and steering, in sentences with numbers. Read `removed`, `steered`."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from saeflow.metrics.erasure import FEATURES, LEACE, MEAN_DIFFERENCE, RANDOM_DIRECTION
from saeflow.studies.classification.removal.shown import CHANCE
from saeflow.studies.saying import span

_PLACE = ["model", "hook", "labelled", "task"]
_WAYS = {LEACE: "LEACE", MEAN_DIFFERENCE: "the projection along the difference of the class means"}


def removed(table: pd.DataFrame) -> Iterator[str]:
    """Say what readers find after removals, of concepts that are found without."""
    own = _of_found(table)
    if own.empty:
        return
    places = own.drop_duplicates(_PLACE)
    clean = span(places["clean_auc"], ".2f")
    yield (
        f"Where a linear reader finds a concept (at {len(places)} of"
        f" {table.drop_duplicates(_PLACE).shape[0]} pairs of a concept and a hook, AUC {clean}), a"
        f" fresh reader has AUC {_listed(own)}."
    )
    most = own["n_features"].max()
    taken = own[(own["way"] == FEATURES) & (own["n_features"] == most) & (most > 0)]
    if len(taken):
        fails = int((taken["auc"] - taken["old_auc"] > 0).sum())
        yield (
            f"Readers fitted before the {most} features were taken out have AUC"
            f" {span(taken['old_auc'], '.2f')}, less than fresh ones in {fails} of"
            f" {len(taken)} cases: one that fails says nothing of what is still there."
        )


def _of_found(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of concepts themselves, where these are found without a removal."""
    own = table[table["of"] == table["task"]]
    ends = own["clean_auc_low"].fillna(own["clean_auc"]).astype(float)
    return own[ends > CHANCE]


def _listed(own: pd.DataFrame) -> str:
    """Return what is left by each way, and what that costs, in words."""
    parts = []
    for way, name in _WAYS.items():
        rows = own[own["way"] == way].drop_duplicates(_PLACE)
        if len(rows):
            parts.append(f"{_left(rows)} after {name}")
    most = own["n_features"].max()
    rows = own[(own["way"] == FEATURES) & (own["n_features"] == most)]
    if len(rows) and most > 0:
        parts.append(f"{_left(rows)} without an SAE's {most} best features")
    return "; ".join(parts)


def _left(rows: pd.DataFrame) -> str:
    return f"{span(rows['auc'], '.2f')} ({span(rows['edit_delta_ce'], '+.3f')} nats per token)"


def steered(table: pd.DataFrame, removal: pd.DataFrame) -> Iterator[str]:
    """Say what steering by the distance between the classes does, where concepts are found."""
    table = table.merge(_of_found(removal)[_PLACE].drop_duplicates(), on=_PLACE)
    up = table[table["strength"] > 0]
    if up.empty:
        return
    up = up[up["strength"] == up["strength"].min()]
    parts = []
    for way, name in (
        (MEAN_DIFFERENCE, "along the difference of the class means"),
        (FEATURES, "along the best feature"),
        (RANDOM_DIRECTION, "along a random direction"),
    ):
        rows = up[up["way"] == way]
        rows = rows if way == FEATURES else rows.drop_duplicates(_PLACE)
        if len(rows):
            score, cost = rows[["edit_end_score", "edit_delta_ce"]].astype(float).median()
            parts.append(f"{score:+.2f} ({cost:+.3f} nats per token) {name}")
    yield (
        f"A move by {up['strength'].iloc[0]:g} times the distance between the classes changes the"
        " log-odds that are read at the model's end by a median of " + ", ".join(parts) + "."
    )
