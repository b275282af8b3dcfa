"""The tables of what single features do, beside what they go with (`scored`).

Builders get runs on prompt sets, of which those with ablations count. An effect is what a feature
adds to ln p of the answer, so that it has the sign of its mean change where the correlation tells
the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.measures.ablations.feature_scores import KINDS
from saeflow.metrics.intervals import Estimate, form, totals_and_draws
from saeflow.metrics.metric import ratio
from saeflow.studies.reconstruction.features.neuronpedia import page_of
from saeflow.studies.reconstruction.features.places import PROMPTS
from saeflow.studies.reconstruction.features.scored import key_of, scores
from saeflow.tables.builders import KEY, columns, stack, with_ends
from saeflow.tables.runs import Run
from saeflow.tables.statistics import rank_correlation

ABLATIONS = "ablations"
MIN_SEEN = 20
"""Tokens on which a feature has to be active for its purity to be one of the feature."""

_OF_SCORES = (
    "n_prompts", "frequency", "strength", "mean_delta", "sum_delta", "weighted_delta", "r", "score",
)  # fmt: skip
_TEXTS = ("top_token", "raised", "lowered")
_PROXIES = ("token_purity", "logit_kurtosis", "seen")
_CONTEXT = (
    "activation", "before", "token", "answer", "delta_log_p", "right_clean", "right_sae",
)  # fmt: skip


def _ablated(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if ABLATIONS in run.records]


def _described(run: Run) -> pd.DataFrame:
    """Return the features that were ablated, with why, their scores and what they are about."""
    chosen = run.records[ABLATIONS].table("features.parquet")
    found = scores(run)[["latent", *_OF_SCORES]]
    return chosen.merge(found, on="latent", validate="one_to_one")


def feature_effects(runs: Sequence[Run], *, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return what each feature that was ablated does, beside what it goes with.

    One row per SAE, prompt set, feature and ``where`` (what it was taken from). ``worst``,
    ``best``, ``frequent`` and ``random`` are its places among those chosen for that, 0 for none.
    ``effect`` is the mean over ``n_ablated`` prompts of ln p(answer) with the feature minus
    without, with an interval over these prompts; ``accuracy_effect`` the same of the share of right
    answers. ``rho_mean_delta`` and ``rho_token_purity`` are Spearman's between the effects and
    these, over the features of the SAE (`_rho`).
    """
    parts = []
    for run in _ablated(runs):
        about = _described(run)
        effects = run.records[ABLATIONS].table("effects.parquet")
        for where, own in effects.groupby("where", sort=False):
            found = {
                latent: _means(rows, bootstrap, seed) for latent, rows in own.groupby("latent")
            }
            table = about.assign(where=where, **key_of(run))
            table = table.merge(
                pd.DataFrame.from_dict(found, orient="index"), left_on="latent", right_index=True
            )
            rhos = {
                f"rho_{name}": _rho(table[name], table["effect"], table["seen"])
                for name in ("mean_delta", "token_purity")
            }
            parts.append(table.assign(**columns(rhos)))
    wanted = [
        *KEY, PROMPTS, "where", "latent", *KINDS, "n_ablated", *with_ends(["effect"]),
        "accuracy_effect", *_OF_SCORES, *_PROXIES, *_TEXTS,
        *with_ends(["rho_mean_delta", "rho_token_purity"]),
    ]  # fmt: skip
    return stack(parts, wanted)


def _rho(values: pd.Series, effects: pd.Series, seen: pd.Series) -> Estimate:
    """Return Spearman's rho between a property and effects, of the features of which it is known.

    A purity is known of those that were active on `MIN_SEEN` tokens.
    """
    known = values.notna() & effects.notna()
    if values.name == "token_purity":
        known &= seen >= MIN_SEEN
    return rank_correlation(values[known].to_numpy(float), effects[known].to_numpy(float))


def _means(rows: pd.DataFrame, bootstrap: int, seed: int) -> dict[str, Any]:
    """Return the mean effect over prompts with its interval, and that on the right answers."""
    right = rows["right_with"].astype(float) - rows["right_without"].astype(float)
    sums = {"effect": rows["effect"].to_numpy(float), "n": np.ones(len(rows))}
    found = _mean("effect", sums, bootstrap, seed)
    return {"n_ablated": len(rows), **columns({"effect": found}), "accuracy_effect": right.mean()}


def _mean(name: str, sums: dict[str, np.ndarray], bootstrap: int, seed: int) -> Estimate:
    return form(ratio(name, "n"), *totals_and_draws(sums, bootstrap, seed))


PROPERTIES = ("mean_delta", "sum_delta", "frequency", "strength", "token_purity", "logit_kurtosis")
"""What effects are correlated with."""


def feature_agreement(runs: Sequence[Run]) -> pd.DataFrame:
    """Return Spearman's rho between the effects of features and what else is known of them.

    One row per SAE, prompt set, ``where``, ``among`` ("chosen": all that were ablated; "random":
    the random ones, whose rho the choice of extremes does not make larger), ``of`` ("effect", or
    its absolute "size") and ``with`` (`PROPERTIES`).
    """
    names = [*KEY, PROMPTS, "where"]
    rows = []
    for key, own in feature_effects(runs, bootstrap=0, seed=0).groupby(names, sort=False):
        for among, group in (("chosen", own), ("random", own[own["random"] > 0])):
            for of, y in (("effect", group["effect"]), ("size", group["effect"].abs())):
                for name in PROPERTIES:
                    which = {"among": among, "of": of, "with": name, "n_features": len(group)}
                    found = columns({"rho": _rho(group[name], y, group["seen"])})
                    rows.append({**dict(zip(names, key, strict=True)), **which, **found})
    wanted = [*names, "among", "of", "with", "n_features", *with_ends(["rho"])]
    return pd.DataFrame(rows, columns=wanted)


def ablated_sets(runs: Sequence[Run], *, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return what ablating the first 1, 2, 4, ... features of a kind together changes.

    One row per SAE, prompt set, ``where``, ``kind`` and ``size``: ``change`` of ln p of the answer
    and ``accuracy_change`` (share of right answers), without the set minus with it, means over the
    same ``n_ablated`` prompts for all sets, with intervals over these.
    """
    rows = []
    names = ["where", "kind", "size"]
    for run in _ablated(runs):
        sets = run.records[ABLATIONS].table("sets.parquet")
        for key, own in sets.groupby(names, sort=False):
            right = own["right_without"].astype(float) - own["right_with"].astype(float)
            sums = {
                "change": -own["effect"].to_numpy(float),
                "accuracy_change": right.to_numpy(float),
                "n": np.ones(len(own)),
            }
            found = {
                name: _mean(name, sums, bootstrap, seed) for name in ("change", "accuracy_change")
            }
            which = {**dict(zip(names, key, strict=True)), "n_ablated": len(own)}
            rows.append({**key_of(run), **which, **columns(found)})
    ends = with_ends(["change", "accuracy_change"])
    return pd.DataFrame(rows, columns=[*KEY, PROMPTS, *names, "n_ablated", *ends])


def features(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the worst and the best features with the prompts on which they are most active.

    One row per SAE, prompt set, ``kind``, ``place`` in it and context, the strongest first; the
    effect is that on the reconstruction. ``page`` is the feature's address on Neuronpedia, where
    the SAE is known to be there.
    """
    parts = []
    for run in _ablated(runs):
        record = run.records[ABLATIONS]
        effects = record.table("effects.parquet")
        own = effects[effects["where"] == "reconstruction"]
        about = _described(run).set_index("latent")
        about["effect"] = own.groupby("latent")["effect"].mean()
        contexts = record.table("contexts.parquet")
        contexts = contexts.assign(context=contexts.groupby("latent").cumcount() + 1)
        for kind in KINDS[:2]:
            chosen = about[about[kind] > 0].sort_values(kind)
            table = contexts.merge(chosen.reset_index(), on="latent")
            table = table.assign(kind=kind, place=table[kind], **key_of(run))
            table["page"] = [page_of(run.sae, latent) for latent in table["latent"]]
            parts.append(table.sort_values(["place", "context"]))
    wanted = [
        *KEY, PROMPTS, "kind", "place", "latent", *_OF_SCORES, "effect", *_PROXIES, *_TEXTS,
        "context", *_CONTEXT, "page",
    ]  # fmt: skip
    return stack(parts, wanted)
