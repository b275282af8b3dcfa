"""Are true facts what SAEs have in common? The facts that each tells, and how far these match.

Whatever is frequent matches better, and facts differ in how frequent they are; so the latent that
tells a fact is held against others of its SAE that are active about as often. Read `facts_found`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import mean_of
from saeflow.metrics.similarity import DECODER
from saeflow.studies.classification.facts import CAPTURED, EVERY
from saeflow.studies.universality.reading import Compared, Pairs, compared, known_facts
from saeflow.tables.builders import columns
from saeflow.tables.runs import Key, Run

CORRELATION, COSINE = SIMILARITIES = ("correlation", "cosine")
_FACTS = "facts"
_LIKE = 20
"""Latents that are active about as often."""

_OF_FACT = ("fact", "kind", "n", "share", "n_saes", "found", "f1", "auc")
_OF_MATCH = ("similarity", "value", "alike", "more", "same", "n_matches")


def facts_found(runs: Sequence[Run], *, pairs: Pairs) -> pd.DataFrame:
    """Return one row per comparison, known fact and similarity.

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
    runs: Sequence[Run], *, pairs: Pairs, bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return one row per comparison, kind of facts and similarity.

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
            more = mean_of(matched["more"].to_numpy(float), bootstrap, seed)
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
                    **{name: matched[name].mean() for name in ("value", "alike", "same")},
                    **columns({"more": more}),
                }
            )
    ends = ("value", "alike", "same", "more", "more_low", "more_high")
    counts = ("n_saes", "n_facts", "found_by_all", "found_by_none", "similarity", "n_compared")
    return pd.DataFrame(rows, columns=["comparison", "kind", *counts, *ends])


def _known(runs: Sequence[Run]) -> dict[Key, pd.DataFrame]:
    measured = (run for run in runs if _FACTS in run.records)
    return {run.key.training: known_facts(run) for run in measured}


def _told(facts: pd.DataFrame) -> pd.Series:
    """Return by fact the latent that finds it, of those that are found."""
    return facts.loc[facts["f1"] > CAPTURED, "latent"]


def _of_comparison(
    pairs: Sequence[Compared], known: Mapping[Key, pd.DataFrame]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a comparison without its name."""
    keys = dict.fromkeys(key for pair in pairs for key in (pair.first.key, pair.second.key))
    every = pd.concat([known[key] for key in keys])
    facts = (
        every.assign(found=every["f1"] > CAPTURED)
        .groupby("fact", sort=False)
        .agg(
            kind=("kind", "first"), n=("n", "max"), share=("share", "max"), n_saes=("f1", "size"),
            found=("found", "sum"), f1=("f1", "mean"), auc=("auc", "mean"),
        )
    )  # fmt: skip
    matches = pd.concat([one for pair in pairs for one in _matches(pair, known)])
    for similarity in SIMILARITIES:
        own = matches[matches["similarity"] == similarity].groupby("fact")
        means = own[["value", "alike", "same"]].mean().reindex(facts.index)
        sizes = own.size().reindex(facts.index, fill_value=0)
        more = means["value"] - means["alike"]
        table = facts.assign(similarity=similarity, **means, more=more, n_matches=sizes)
        yield from table.reset_index().to_dict("records")


def _matches(pair: Compared, known: Mapping[Key, pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Yield for each direction and similarity a row per fact that the SAE finds.

    Columns: fact, similarity, value, alike and same.
    """
    for side, own, other in pair.directions():
        table = pair.side(side).set_index("latent")
        told = _told(known[own.key])
        told = told[told.isin(table.index)]
        theirs = known[other.key]["latent"].reindex(told.index).to_numpy()
        for similarity in SIMILARITIES:
            if column := _column(similarity, table):
                rows = table.loc[told]
                yield pd.DataFrame(
                    {
                        "fact": told.index,
                        "similarity": similarity,
                        "value": rows[column].to_numpy(),
                        "alike": _alike(table, column, told),
                        "same": (rows[f"{column}_match"].to_numpy() == theirs).astype(float),
                    }
                )


def _column(similarity: str, table: pd.DataFrame) -> str | None:
    """Return the column of a similarity, of directions the first that there is."""
    names = DECODER if similarity == COSINE else (similarity,)
    return next((name for name in names if name in table), None)


def _alike(table: pd.DataFrame, column: str, told: pd.Series) -> np.ndarray:
    """Return for each latent that finds a fact the mean of others that are as frequent, (n,).

    Parameters
    ----------
    table
        The live latents of an SAE, by their number, with ``active``.
    column
        Of what the mean is formed.
    told
        The latents (n,) that find facts; they are not among the others.
    """
    others = table[~table.index.isin(told)]
    if others.empty:
        return np.full(len(told), np.nan)
    frequency = np.log(others["active"].to_numpy(float))
    of_told = np.log(table.loc[told, "active"].to_numpy(float))
    away = np.abs(of_told[:, None] - frequency)
    nearest = np.argsort(away, axis=1, kind="stable")[:, :_LIKE]
    return others[column].to_numpy()[nearest].mean(axis=1)
