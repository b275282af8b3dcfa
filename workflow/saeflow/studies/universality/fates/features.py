"""The features of a study's own SAEs, and in which other SAEs each is found. Read `Asked`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saeflow.studies.classification.facts import CAPTURED
from saeflow.studies.universality.comparisons import FOUND
from saeflow.studies.universality.fates.designs import FACTORS, QUANTITIES
from saeflow.studies.universality.reading import (
    Compared,
    Pairs,
    Sae,
    compared,
    key_of,
    known_facts,
    saes_of,
)
from saeflow.tables.runs import Run

ALL, RETRAINED = "all", "retrained"
"""Among which SAEs a feature is looked for: all others; or, where these are not all, those of the
same recipe that differ in nothing but `FACTORS`."""

_EFFECTS, _FACTS = "effects", "facts"
_APART = {"model", "checkpoint", "hook"}
PLACE = ("model", "hook", "site", "block", "sae", "seed")


class Asked(NamedTuple):
    """One of the study's own SAEs and what others find of it.

    Attributes
    ----------
    sae : Sae
        Which.
    features : DataFrame
        A row per live latent: latent, active, frequency (share of tokens), strength (mean of the
        activation where active times the decoder row's norm), carried, activation and effect
        (shares of the sum over live latents; effect, of either sign, NaN where it was not
        measured) and fact.
    others : dict
        `ALL` or `RETRAINED` -> quantity -> (n_features, n_saes) bool, whether it is found there.
    """

    sae: Sae
    features: pd.DataFrame
    others: dict[str, dict[str, np.ndarray]]

    @classmethod
    def each(
        cls,
        runs: Sequence[Run],
        pairs: Pairs,
        own: Sequence[Mapping[str, Any]],
    ) -> Iterator[Asked]:
        """Yield the study's own SAEs that are compared with others."""
        saes, found = saes_of(runs), [one for one in compared(runs, pairs) if _counts(one)]
        for row in own:
            key = key_of(row)
            of_key = {}
            for pair in found:
                if key in (pair.first.key, pair.second.key):
                    other = pair.second if key == pair.first.key else pair.first
                    if not other.run.baseline:
                        of_key[other.key] = pair
            if of_key:
                yield cls._of(saes[key], list(of_key.values()))

    @classmethod
    def _of(cls, sae: Sae, pairs: Sequence[Compared]) -> Asked:
        sides = [pair.of(sae.key) for pair in pairs]
        again = np.array([{*pair.differ} <= {*FACTORS} for pair in pairs])
        others: dict[str, dict[str, np.ndarray]] = {}
        for among, which in ((ALL, again | True), (RETRAINED, again)):
            if which.any() and (among == ALL or not again.all()):
                chosen = [side for side, take in zip(sides, which, strict=True) if take]
                others[among] = {
                    name: np.stack([side[name] > FOUND for side in chosen], axis=1)
                    for name in QUANTITIES
                }
        return cls(sae, _features(sae, sides[0], pairs[0].record.facts["n_tokens"]), others)

    def columns(self) -> dict[str, Any]:
        """Return what tables say of the SAE."""
        own = self.sae.columns()
        return {name: own[name] for name in PLACE}

    def found(self) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """Yield quantity, among and n_saes, and (n_features, n_saes) bool, where each is found."""
        for among, by_quantity in self.others.items():
            for quantity, where in by_quantity.items():
                yield {"quantity": quantity, "among": among, "n_saes": where.shape[1]}, where


def _counts(pair: Compared) -> bool:
    """Say whether a pair is at one hook, with directions in one space."""
    known = {*QUANTITIES} <= {*pair.side("first")}
    return known and not pair.is_null and not _APART & {*pair.differ}


def _features(sae: Sae, side: pd.DataFrame, n_tokens: int) -> pd.DataFrame:
    active, norm = side["active"].to_numpy(float), side["norm"].to_numpy(float)
    total = side["sum"].to_numpy(float) * norm
    table = pd.DataFrame(
        {
            "latent": side["latent"].to_numpy(),
            "active": side["active"].to_numpy(),
            "frequency": active / n_tokens,
            "strength": total / active,
            "carried": _share(side["carried"].to_numpy(float)),
            "activation": _share(total),
            "effect": np.nan,
            "fact": "",
        }
    )
    if _EFFECTS in sae.run.records:
        latents = sae.run.records[_EFFECTS].table("latents.parquet").set_index("latent")
        # of either sign: signed effects nearly cancel in their sum
        table["effect"] = _share(latents["absolute"].reindex(table["latent"]).to_numpy(float))
    if _FACTS in sae.run.records:
        table["fact"] = table["latent"].map(told_by(sae.run)).fillna("")
    return table


def _share(values: np.ndarray) -> np.ndarray:
    total = values.sum()
    return values / total if total else np.full(len(values), np.nan)


def told_by(run: Run) -> dict[int, str]:
    """Return latent -> the fact of the world that it tells best, of those that it captures."""
    facts = known_facts(run)
    facts = facts[facts["f1"] > CAPTURED].sort_values("f1", kind="stable")
    return dict(zip(facts["latent"], facts.index, strict=True))  # the last one stays
