"""Whether matched latents of two SAEs are one latent of a crosscoder of their places.

Read `agreement`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import NORMAL_QUANTILE, Estimate, interval
from saeflow.studies.universality import reading
from saeflow.studies.universality.comparisons import FOUND
from saeflow.studies.universality.crosscoders import EXCHANGED, MATCHED, WEAK
from saeflow.studies.universality.crosscoders.tables import (
    OTHER,
    OTHERS,
    OWN,
    Crosscoder,
    crosscoders_of,
    directions,
    kinds,
)
from saeflow.studies.universality.reading import Compared, Pairs, compared
from saeflow.tables.builders import EXTENT, KEY, columns
from saeflow.tables.runs import Run

_BLOCK_ROWS = 1024


def agreement(
    runs: Sequence[Run],
    *,
    crosscoders: Iterable[Mapping[str, Any]],
    shuffled: Iterable[str],
    pairs: Pairs,
    bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return three rows per crosscoder and two SAEs at places of it.

    Returns
    -------
    DataFrame
        The crosscoder and the other place; the two SAEs; ``kind`` of pairs of latents: "matched",
        one to one with a correlation above 0.7, "weakly matched", the rest of these, and
        "exchanged", the former with each other's partners; ``n_pairs``; ``cosine``, the mean over
        pairs of the largest value among live latents of the crosscoder that are not of one place
        alone of the smaller of the two cosines, of each direction with the latent's at its place;
        ``found``, the share of pairs where that is above 0.7; both with intervals over pairs, of
        the mean by its standard error.
    """
    known = reading.saes_of(runs)
    by_keys = {(p.first.key, p.second.key): p for p in reversed([*compared(runs, pairs)])}
    rows = []
    for one in crosscoders_of(runs, crosscoders):
        for pair in reversed(by_keys.values()):
            if (at := _places(one, pair)) is None:
                continue
            for kind, first, second in _kinds(pair, seed):
                saes = (known[pair.first.key], first), (known[pair.second.key], second)
                score = _score(
                    one, at, *(directions(sae.run.decoder()[latents]) for sae, latents in saes)
                )
                found = {"cosine": _mean(score), "found": _share(score > FOUND, bootstrap, seed)}
                rows.append(
                    {
                        **one.columns(max(at), shuffled),
                        **pair.columns(),
                        "kind": kind,
                        "n_pairs": len(score),
                        **columns(found),
                        **pair.extent(),
                    }
                )
    ends = ("", "_low", "_high")
    values = [f"{name}{end}" for name in ("cosine", "found") for end in ends]
    last = ["kind", "n_pairs", *values, *EXTENT]
    return pd.DataFrame(rows, columns=[*KEY, *OTHER, *reading.COLUMNS, *last])


def _places(one: Crosscoder, pair: Compared) -> tuple[int, int] | None:
    """Return at which of a crosscoder's places two SAEs are; None unless one is its own place."""
    key, at = one.run.key, []
    for sae in (pair.first.key, pair.second.key):
        place = sae.model, sae.hook
        if (sae.dataset, sae.packing) != (key.dataset, key.packing) or place not in one.places:
            return None
        at.append(one.places.index(place))
    return (at[0], at[1]) if at[0] != at[1] and 0 in at else None


def _kinds(pair: Compared, seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield kinds of pairs of latents: of the first SAE and of the second, (n,) int64 each."""
    table = pair.side(reading.FIRST)
    table = table[table["correlation_one_match"] >= 0]
    first, second = (table[name].to_numpy() for name in ("latent", "correlation_one_match"))
    strong = (table["correlation_one"] > FOUND).to_numpy()
    yield MATCHED, first[strong], second[strong]
    yield WEAK, first[~strong], second[~strong]
    mixed = np.random.default_rng(seed).permutation(int(strong.sum()))  # each has the next's
    others = second[strong][np.roll(mixed, 1)] if len(mixed) > 1 else second[:0]
    yield EXCHANGED, first[strong][mixed] if len(mixed) > 1 else first[:0], others


def _score(
    one: Crosscoder, at: tuple[int, int], first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Return of pairs of directions (n, d) each how well one latent has both, (n,)."""
    size = [np.linalg.norm(one.decoder[which], axis=1) for which in at]
    with np.errstate(invalid="ignore"):
        kind = kinds(size[1] / (size[0] + size[1]))
    of_both = ~np.isin(kind, (OWN, OTHERS)) & (one.latents["status"] == "live").to_numpy()
    if not of_both.any():
        return np.zeros(len(first))
    parts = [directions(one.decoder[which][of_both]) for which in at]
    scores = [
        np.minimum(
            *(
                rows[start : start + _BLOCK_ROWS] @ part.T
                for rows, part in zip((first, second), parts, strict=True)
            )
        ).max(1)
        for start in range(0, len(first), _BLOCK_ROWS)
    ]
    return np.concatenate([np.zeros(0), *scores])


def _mean(values: np.ndarray) -> Estimate:
    """Return a mean (n,) with its interval; NaN where there are too few."""
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    mean, reach = float(values.mean()), NORMAL_QUANTILE * float(error)
    return Estimate(mean, mean - reach, mean + reach)


def _share(above: np.ndarray, bootstrap: int, seed: int) -> Estimate:
    """Return a share (n,) with its interval over resampled pairs: its draws are binomial."""
    n = len(above)
    if not n:
        return Estimate(np.nan)
    drawn = np.random.default_rng(seed).binomial(n, above.mean(), bootstrap) / n
    return Estimate(float(above.mean()), *interval(drawn))
