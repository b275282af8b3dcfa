"""Scores of features on a prompt set: how answers fare where a feature is active.

They are correlations: a feature is credited with all that an SAE does to the prompts on which it
is active. `saeflow.measures.ablations.measure` asks for its own part. Pure functions of what
`saeflow.measures.answers.measure` writes; read `score_features`, then `choose`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

KINDS = ("worst", "best", "frequent", "random")
"""Why a feature is among those that are looked at, in the order of legends."""


def score_features(delta: np.ndarray, active: pd.DataFrame, d_sae: int) -> pd.DataFrame:
    """Return the scores of every feature, a row per latent.

    Parameters
    ----------
    delta : (n_prompts,) float64
        ln p of each prompt's answer with the SAE, minus without; nats.
    active
        A row per prompt and latent that is active on it: ``prompt`` (its place in ``delta``),
        ``latent``, ``n_active`` (positions), ``sum_activation`` (over these).
    d_sae
        Number of latents.

    Returns
    -------
    DataFrame
        ``latent``; ``n_prompts`` where it is active, with ``n_positions`` on them; ``sum_delta``
        and ``mean_delta`` over these, the latter NaN for a feature that never is; ``score``, their
        number with delta >= 0 minus those below, 0 for a feature that never is active;
        ``weighted_delta``, their mean weighted with activations summed over a prompt; ``r``,
        Pearson's between these sums (0 where not active) and delta over all prompts;
        ``frequency``, the share of prompts; ``strength``, the mean activation where active.

    Notes
    -----
    Mean and score are those of Anders and Bloom 2024, whose published mean has 100 for a feature
    that never is active.
    """
    prompt, latent = active["prompt"].to_numpy(), active["latent"].to_numpy()
    activation = active["sum_activation"].to_numpy(float)
    own = np.asarray(delta, dtype=np.float64)[prompt]

    def total(values: np.ndarray) -> np.ndarray:
        """Sum values of the rows by latent, (d_sae,) float64."""
        return np.bincount(latent, weights=values, minlength=d_sae)

    n, n_active = np.bincount(latent, minlength=d_sae), total(active["n_active"].to_numpy(float))
    sum_delta, activations = total(own), total(activation)
    weighted = total(activation * own)
    with np.errstate(divide="ignore", invalid="ignore"):
        return pd.DataFrame(
            {
                "latent": np.arange(d_sae),
                "n_prompts": n,
                "n_positions": n_active.astype(np.int64),
                "sum_delta": sum_delta,
                "mean_delta": np.where(n > 0, sum_delta / n, np.nan),
                "score": total(np.where(own >= 0, 1.0, -1.0)).astype(np.int64),
                "weighted_delta": np.where(n > 0, weighted / activations, np.nan),
                "r": _pearson(
                    len(delta), weighted, activations, total(activation**2), np.asarray(delta)
                ),
                "frequency": n / len(delta),
                "strength": np.where(n > 0, activations / n_active, np.nan),
            }
        )


def _pearson(
    n: int, products: np.ndarray, sums: np.ndarray, squares: np.ndarray, delta: np.ndarray
) -> np.ndarray:
    """Return r with ``delta`` (n,) from sums of products, values and squares; NaN where constant.

    A feature of which one prompt tells has no correlation either.
    """
    shared = products - sums * delta.sum() / n
    spread = squares - sums**2 / n
    below = np.sqrt(np.maximum(spread, 0.0) * ((delta - delta.mean()) ** 2).sum())
    known = below > 1e-12 * squares.max(initial=0.0)
    return np.where(known, np.clip(shared / below, -1, 1), np.nan)


def choose(scores: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """Return the features that are looked at, and why.

    Parameters
    ----------
    n
        How many of each of `KINDS`: those with the smallest and the largest sum of delta over the
        prompts where they are active, those active on most prompts, and random ones. Of equals
        the first; fewer where fewer features are active.
    seed
        Of the random ones, which are drawn from all that are active.

    Returns
    -------
    DataFrame
        A row per feature by ``latent``, and for each kind its place, from 1, or 0 for a feature
        that is not of the kind; one feature may be of several.
    """
    found = scores[scores["n_prompts"] > 0]
    drawn = np.random.default_rng(seed).permutation(len(found))
    orders = {
        "worst": found["sum_delta"].argsort(kind="stable"),
        "best": (-found["sum_delta"]).argsort(kind="stable"),
        "frequent": (-found["n_prompts"]).argsort(kind="stable"),
        "random": drawn,
    }
    chosen = {kind: found["latent"].to_numpy()[np.asarray(orders[kind])[:n]] for kind in KINDS}
    latents = np.unique(np.concatenate(list(chosen.values()))).astype(np.int64)
    columns = {"latent": latents}
    for kind, own in chosen.items():
        columns[kind] = np.zeros(len(latents), dtype=np.int64)
        columns[kind][np.searchsorted(latents, own)] = np.arange(1, len(own) + 1)
    return pd.DataFrame(columns)


def sets_of(chosen: pd.DataFrame) -> dict[tuple[str, int], np.ndarray]:
    """Return the first 1, 2, 4, ... latents of each kind by (kind, number)."""
    found = {}
    for kind in KINDS:
        own = chosen[chosen[kind] > 0].sort_values(kind)["latent"].to_numpy()
        size = 1
        while size <= len(own):
            found[kind, size] = own[:size]
            size *= 2
    return found


def sample(active: pd.DataFrame, latents: np.ndarray, order: np.ndarray, n: int) -> pd.DataFrame:
    """Return the first ``n`` prompts, in a common order, on which each of some latents is active.

    ``prompt`` and ``latent`` of each pair, by latent and in the ``order`` (n_prompts,) of the
    prompts; it is the same for all features: what is ablated on the same prompts is compared in
    pairs.
    """
    rows = active.loc[active["latent"].isin(latents), ["prompt", "latent"]]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    rows = rows.assign(place=place[rows["prompt"].to_numpy()]).sort_values(["latent", "place"])
    return rows.groupby("latent").head(n)[["prompt", "latent"]].reset_index(drop=True)
