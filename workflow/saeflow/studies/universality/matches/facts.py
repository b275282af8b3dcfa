"""Are true facts what SAEs have in common? The facts that each tells, and how far these match.

Whatever is frequent matches better, and facts differ in how frequent they are; so the latent that
tells a fact is held against others of its SAE that are active about as often. Read `facts_found`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import interval, resample
from saeflow.studies.classification.facts import CAPTURED, EVERY
from saeflow.studies.classification.facts.tables import facts
from saeflow.studies.universality.matches.shown import DIRECTION_COSINES
from saeflow.studies.universality.reading import Compared, Sae, compared
from saeflow.tables.runs import Key, Run

CORRELATION, COSINE = SIMILARITIES = ("correlation", "cosine")
_FACTS = "facts"
_LIKE = 20
"""Latents that are active about as often."""

_F1 = "fact_f1"
_OF_FACT = ("fact", "kind", "n", "share", "n_saes", "found", "f1", "auc")
_OF_MATCH = ("similarity", "value", "alike", "more", "same", "n_matches")


def facts_found(runs: Sequence[Run], *, pairs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per comparison, known fact and similarity.

    Parameters
    ----------
    runs, pairs
        As of `saeflow.studies.universality.reading.compared`; SAEs with the measure ``facts``.

    Returns
    -------
    DataFrame
        ``comparison``; the ``fact`` and its ``kind``; ``n``, of how many tokens it holds, and
        ``share`` of all; ``n_saes`` of the comparison, ``found``, in how many of them the F1 of the
        best latent is above `CAPTURED`; ``f1`` and ``auc``, means over SAEs.
        Over both directions of all pairs in which the first SAE finds the fact by a live latent, of
        these latents: the ``similarity``, of `SIMILARITIES`; ``value``, the mean similarity with
        their best matches; ``alike``, the same of the `_LIKE` latents of the SAE that are active
        about as often and find no fact; ``more``, the first less the second; ``same``, the share
        whose match is the latent that tells the fact best in the other SAE; ``n_matches``, over how
        many directions. They are NaN where there is none.
    """
    known = _known(runs)
    rows: list[dict[str, Any]] = []
    by_comparison: dict[str, list[Compared]] = {}
    for pair in compared(runs, pairs):
        if pair.first.key in known and pair.second.key in known:
            by_comparison.setdefault(pair.comparison, []).append(pair)
    for comparison, own in by_comparison.items():
        for row in _of_comparison(own, known):
            rows.append({"comparison": comparison, **row})
    return pd.DataFrame(rows, columns=["comparison", *_OF_FACT, *_OF_MATCH])


def facts_universal(
    runs: Sequence[Run],
    *,
    pairs: Sequence[Mapping[str, Any]],
    bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row per comparison, kind of facts and similarity.

    Parameters
    ----------
    runs, pairs
        As of `facts_found`.
    bootstrap, seed
        Number of resamples of the facts, and their seed.

    Returns
    -------
    DataFrame
        ``comparison``; ``kind``, or `EVERY`; ``n_saes``; ``n_facts``; how many are ``found_by_all``
        SAEs, and ``found_by_none``; the ``similarity``; over the ``n_compared`` facts whose latents
        have matches the means of ``value``, ``alike`` and ``same``, and that of ``more`` with its
        interval over facts.
    """
    rows = []
    table = facts_found(runs, pairs=pairs)
    for (comparison, similarity), own in table.groupby(["comparison", "similarity"], sort=False):
        for kind in (EVERY, *dict.fromkeys(own["kind"])):
            of_kind = own if kind == EVERY else own[own["kind"] == kind]
            matched = of_kind.dropna(subset="more")
            low, high = _interval(matched["more"].to_numpy(float), bootstrap, seed)
            rows.append(
                {
                    "comparison": comparison,
                    "kind": kind,
                    "n_saes": of_kind["n_saes"].max(),
                    "n_facts": len(of_kind),
                    "found_by_all": int((of_kind["found"] == of_kind["n_saes"]).sum()),
                    "found_by_none": int((of_kind["found"] == 0).sum()),
                    "similarity": similarity,
                    "n_compared": len(matched),
                    **{name: matched[name].mean() for name in ("value", "alike", "same", "more")},
                    "more_low": low,
                    "more_high": high,
                }
            )
    ends = ("value", "alike", "same", "more", "more_low", "more_high")
    counts = ("n_saes", "n_facts", "found_by_all", "found_by_none", "similarity", "n_compared")
    return pd.DataFrame(rows, columns=["comparison", "kind", *counts, *ends])


def _interval(values: np.ndarray, bootstrap: int, seed: int) -> tuple[float | None, float | None]:
    """Return the interval of a mean over facts."""
    sums = {"sum": values, "n": np.ones(len(values))}
    drawn = resample(sums, samples=bootstrap, seed=seed) if bootstrap else {}
    return interval(drawn["sum"] / drawn["n"]) if drawn else (None, None)


class _Known:
    """The facts that an SAE's latents tell, by fact.

    Parameters
    ----------
    run
        With the measure ``facts``.

    Attributes
    ----------
    facts : DataFrame
        By the fact's name: kind, n, share, latent, auc and f1.
    """

    def __init__(self, run: Run) -> None:
        table = facts([run], metrics=(_F1,)).set_index("fact")
        share = table["n"] / table["n_tokens"]
        self.facts = table.assign(share=share, f1=table[_F1].astype(float).fillna(0.0))

    @cached_property
    def told(self) -> pd.Series:
        """By fact the latent that finds it, of those that are found."""
        return self.facts.loc[self.facts["f1"] > CAPTURED, "latent"]


def _known(runs: Sequence[Run]) -> dict[Key, _Known]:
    measured = (run for run in runs if _FACTS in run.records)
    return {run.key.training: _Known(run) for run in measured}


def _of_comparison(
    pairs: Sequence[Compared], known: Mapping[Key, _Known]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a comparison without its name."""
    saes: dict[Key, Sae] = {s.key: s for pair in pairs for s in (pair.first, pair.second)}
    of_saes = [known[key].facts for key in saes]
    every = pd.concat(of_saes, keys=range(len(of_saes)), names=["number"])
    by_fact = every.assign(found=every["f1"] > CAPTURED).groupby("fact", sort=False)
    facts_ = by_fact.agg(
        kind=("kind", "first"), n=("n", "max"), share=("share", "max"), n_saes=("f1", "size"),
        found=("found", "sum"), f1=("f1", "mean"), auc=("auc", "mean"),
    )  # fmt: skip
    matches = pd.DataFrame(
        [one for pair in pairs for one in _matches(pair, known)],
        columns=["fact", "similarity", "value", "alike", "same"],
    )
    means = matches.groupby(["similarity", "fact"])[["value", "alike", "same"]].mean()
    counts = matches.groupby(["similarity", "fact"]).size()
    for similarity in SIMILARITIES:
        for fact, row in facts_.iterrows():
            key = (similarity, fact)
            mean = means.loc[key] if key in counts.index else dict.fromkeys(means, np.nan)
            yield {
                "fact": fact,
                **row,
                "similarity": similarity,
                **mean,
                "more": mean["value"] - mean["alike"],
                "n_matches": int(counts.get(key, 0)),
            }


def _matches(pair: Compared, known: Mapping[Key, _Known]) -> Iterator[tuple]:
    """Yield fact, similarity, value, alike and same of each direction of a pair."""
    for side, own, other in pair.directions():
        told, theirs = known[own.key].told, known[other.key].facts["latent"]
        table = pair.side(side).set_index("latent")
        for similarity in SIMILARITIES:
            column = _column(similarity, table)
            if column is None:
                continue
            like = _Alike(table, column, told)
            for fact, latent in told.items():
                if latent in table.index:
                    match = table.loc[latent, f"{column}_match"]
                    same = float(match == theirs.get(fact, -1))
                    yield fact, similarity, table.loc[latent, column], like.mean(latent), same


def _column(similarity: str, table: pd.DataFrame) -> str | None:
    """Return the column of a similarity, of directions the first that there is."""
    names = DIRECTION_COSINES if similarity == COSINE else (similarity,)
    return next((name for name in names if name in table), None)


class _Alike:
    """How similar the matches of latents are that are active as often and find no fact.

    Parameters
    ----------
    table
        The live latents of an SAE, by their number, with ``active``.
    column
        The similarity.
    told
        The latents that find facts.
    """

    def __init__(self, table: pd.DataFrame, column: str, told: pd.Series) -> None:
        others = table[~table.index.isin(told)]
        self._active, self._values = np.log(others["active"]), others[column]
        self._of = np.log(table["active"])

    def mean(self, latent: int) -> float:
        """Return the mean similarity of those that are nearest in frequency; NaN of none."""
        away = (self._active - self._of[latent]).abs()
        return float(self._values[away.nsmallest(_LIKE).index].mean())
