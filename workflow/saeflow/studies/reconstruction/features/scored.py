"""The tables of what features go with: their scores on prompt sets. Read `feature_scores`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from saeflow.measures.ablations.feature_scores import score_features
from saeflow.studies.reconstruction.features.places import PROMPTS
from saeflow.tables.builders import KEY, columns, stack, with_ends
from saeflow.tables.runs import DOCUMENTS, Run
from saeflow.tables.statistics import rank_correlation

ANSWERS = "answers"
N_BINS = 100
_HISTOGRAMS = ("mean_delta", "score")
MIN_PROMPTS = 5
"""Prompts on which a feature has to be active for its mean change to be correlated with others."""
_OF_BINS = ("quantity", "low", "high", "n_features", "n_active", "n_latents", "n_prompts")


@lru_cache(maxsize=64)
def scores(run: Run) -> pd.DataFrame:
    """Return `score_features` of an SAE on a prompt set; shared: do not change it."""
    record = run.records[ANSWERS]
    documents = record.table(DOCUMENTS)
    delta = (documents["log_p_sae"] - documents["log_p_clean"]).to_numpy()
    place = pd.Series(np.arange(len(documents)), index=documents["document"])
    active = record.table("features.parquet")
    active = active.assign(prompt=place[active["prompt"]].to_numpy())
    return score_features(delta, active, int(run.sae["d_sae"]))


def feature_scores(runs: Sequence[Run]) -> pd.DataFrame:
    """Return histograms of features by mean change (nats) and by score, a row per filled bin.

    Bins of a model and prompt set are the same for all SAEs, `N_BINS` or fewer; those of scores,
    which are whole numbers, have whole widths.
    """
    parts = []
    for own in _grouped(runs):
        found = {run: scores(run) for run in own}
        for quantity in _HISTOGRAMS:
            whole = quantity == "score"  # of which those that are never active have one, too
            values = [
                table.loc[(table["n_prompts"] > 0) | whole, quantity].to_numpy(float)
                for table in found.values()
            ]
            edges = _edges(np.concatenate(values), whole=whole)
            for (run, table), mine in zip(found.items(), values, strict=True):
                counts = np.histogram(mine, edges)[0]
                bins = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "n_features": counts})
                parts.append(
                    bins[counts > 0].assign(
                        **key_of(run),
                        quantity=quantity,
                        n_active=int((table["n_prompts"] > 0).sum()),
                        n_latents=len(table),
                        n_prompts=len(run.records[ANSWERS].table(DOCUMENTS)),
                    )
                )
    return stack(parts, [*KEY, PROMPTS, *_OF_BINS])


def _asked(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that have answers; baselines have no features to be scored."""
    return [run for run in runs if ANSWERS in run.records and not run.baseline]


def _grouped(runs: Sequence[Run]) -> Iterable[list[Run]]:
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in _asked(runs):
        groups.setdefault((run.key.model, run.key.eval_dataset), []).append(run)
    return groups.values()


def _edges(values: np.ndarray, *, whole: bool) -> np.ndarray:
    """Return the edges of bins, (n + 1,); zero is an edge between decreases and increases."""
    low, high = min(values.min(initial=0.0), 0.0), max(values.max(initial=0.0), 0.0)
    width = (high - low) / N_BINS or 1.0
    if whole:
        width = np.ceil((high - low + 1) / N_BINS)
    # a change of zero is no decrease: it lies in the first bin above zero
    first, last = np.floor(low / width), np.floor(high / width) + 1
    return np.arange(first, last + 1) * width


def key_of(run: Run) -> dict[str, Any]:
    """Return the columns of a run: those of its SAE, and the prompt set."""
    return {**run.key.columns(), PROMPTS: run.key.eval_dataset}


def feature_correlations(runs: Sequence[Run]) -> pd.DataFrame:
    """Return how the mean change goes with frequency and strength, over features of each SAE.

    One row per SAE, prompt set, ``of`` (the plain mean, or weighted with activations) and ``with``;
    Spearman's rho over the ``n_features`` that are active on `MIN_PROMPTS` prompts.
    """
    rows = []
    for run in _asked(runs):
        found = scores(run)
        found = found[found["n_prompts"] >= MIN_PROMPTS]
        for of in ("mean_delta", "weighted_delta"):
            for name in ("frequency", "strength"):
                r = rank_correlation(found[name].to_numpy(float), found[of].to_numpy(float))
                which = {"of": of, "with": name, "n_features": len(found)}
                rows.append({**key_of(run), **which, **columns({"r": r})})
    wanted = [*KEY, PROMPTS, "of", "with", "n_features", *with_ends(["r"])]
    return pd.DataFrame(rows, columns=wanted)
