"""Features of two SAEs with the texts on which both are most active. Read `matched_contexts`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.contexts import FILE
from saeflow.metrics.similarity import DECODER
from saeflow.studies.universality.matches import MATCHED, UNMATCHED
from saeflow.studies.universality.reading import (
    COLUMNS,
    FIRST,
    SIDES,
    Compared,
    Pairs,
    Sae,
    compared,
)
from saeflow.tables.runs import Run

BEST, RANDOM, ALONE = KINDS = ("best match", "random match", "no match")
"""Why a feature is shown: its match is one of the most similar; it has a match; it has none, and
carries most of the reconstruction of those."""

_CONTEXTS = "contexts"
_CONTEXT = ("rank", "activation", "document", "before", "token", "after")
_PER_KIND = 5


def matched_contexts(runs: Sequence[Run], *, pairs: Pairs, seed: int) -> pd.DataFrame:
    """Return some features of the first SAE of each pair beside their matches in the second.

    Parameters
    ----------
    seed
        Of the choice of random matches.

    Returns
    -------
    DataFrame
        The pair; ``kind`` of `KINDS` and ``place``, from 1; ``latent`` of the first SAE and its
        ``match``, the latent of the second whose activations correlate most with it, with the
        ``correlation`` and the ``cosine`` of their decoder directions;
        ``side``, first or second, that what follows is about: ``frequency``, the share of tokens
        on which the latent is active; ``rank`` of the context, from 1; the latent's
        ``activation`` there; ``document``; ``before``, ``token`` and ``after``. A match has a
        correlation of at least `MATCHED`, and of features that have the same match the one that is
        nearest to it is taken; features of `ALONE` have one below `UNMATCHED` with any. No cosine
        is told where by the cosine another latent is the best match.
    """
    rows: list[dict[str, Any]] = []
    for pair in compared(runs, pairs):
        if all(_CONTEXTS in sae.run.records for sae in (pair.first, pair.second)):
            rows += _of_pair(pair, seed)
    own = ("kind", "place", "latent", "match", "correlation", "cosine", "side", "frequency")
    return pd.DataFrame(rows, columns=[*COLUMNS, *own, *_CONTEXT])


def _of_pair(pair: Compared, seed: int) -> Iterator[dict[str, Any]]:
    first = pair.side(FIRST)
    cosine = next((name for name in DECODER if name in first), None)
    n_tokens = pair.record.facts["n_tokens"]
    active = {side: pair.side(side).set_index("latent")["active"] for side in SIDES}
    for kind, place, feature in _chosen(first, seed):
        match = int(feature["correlation_match"])
        of_feature = {
            **pair.columns(),
            "kind": kind,
            "place": place,
            "latent": int(feature["latent"]),
            "match": match,
            "correlation": feature["correlation"],
            "cosine": _cosine(feature, cosine, match),
        }
        shown = zip(SIDES, (pair.first, pair.second), (of_feature["latent"], match), strict=True)
        for side, sae, latent in shown:
            frequency = {"side": side, "frequency": active[side][latent] / n_tokens}
            for context in _contexts(sae, latent):
                yield {**of_feature, **frequency, **context}


def _chosen(features: pd.DataFrame, seed: int) -> Iterator[tuple[str, int, pd.Series]]:
    """Yield kind, place and row of the features that are shown."""
    by_match = features.sort_values("correlation", ascending=False, kind="stable")
    matched = by_match[by_match["correlation"] >= MATCHED]
    matched = matched.drop_duplicates("correlation_match")
    best, rest = matched[:_PER_KIND], matched[_PER_KIND:]
    drawn = np.random.default_rng(seed).permutation(len(rest))[:_PER_KIND]
    alone = features[features["correlation"] < UNMATCHED]
    alone = alone.sort_values("carried", ascending=False, kind="stable")[:_PER_KIND]
    for kind, own in zip(KINDS, (best, rest.iloc[drawn], alone), strict=True):
        for place, (_, row) in enumerate(own.iterrows(), start=1):
            yield kind, place, row


def _cosine(feature: pd.Series, name: str | None, match: int) -> float:
    """Return the cosine of a feature with its match, where that is its best match by it too."""
    known = name is not None and feature[f"{name}_match"] == match
    return feature[name] if known else np.nan


def _contexts(sae: Sae, latent: int) -> Iterator[dict[str, Any]]:
    table = sae.run.records[_CONTEXTS].table(FILE)
    own = table[table["latent"] == latent].sort_values("rank")
    yield from own.assign(rank=own["rank"] + 1)[list(_CONTEXT)].to_dict("records")
