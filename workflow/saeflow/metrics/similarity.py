"""How alike two SAEs are: formulas from the best matches of latents.

A formula gets of each live latent of one SAE, (..., n):

    best      the similarity of the latent of the other SAE that is most like it
    one       that of its partner where each latent has one partner at most; NaN without one
    active    the tokens on which it is active
    carried   its share of the reconstruction, summed over tokens

`matches` takes these from what the measure writes. Every number is of one direction: the latents
of one SAE looked for in the other. `saeflow.measures.similarity` says how they are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from saeflow.metrics.metric import Formula, Measure, Metric, Sums

FIRST, SECOND, GROUPS = "first.parquet", "second.parquet", "groups.parquet"
"""Files: the matches of each SAE's latents, and their sums by group of documents."""

COSINE, ALIGNED, ENCODER = "cosine", "aligned", "encoder"
CORRELATION, UNCENTRED = "correlation", "uncentred"
QUANTITIES = (COSINE, ALIGNED, ENCODER, CORRELATION, UNCENTRED)
"""The similarities: of decoder rows, the same after a rotation, of encoder columns, and of
activations; uncentred is one that the post had by mistake."""

DECODER = (ALIGNED, COSINE)
"""Those of decoder directions; of two hooks or models the first tells more."""

GAUSSIAN, COLUMNS, UNIFORM, TOKENS = "gaussian", "columns", "uniform", "tokens"
"""What chance gives: random directions, the other's with shuffled coordinates, random directions
of positive entries (the post's), and the other's activations on shuffled tokens."""

MATCH, ONE = "match", "one"
"""What the columns of the best latent, and of a latent's partner, end with."""


def column(quantity: str, *parts: str) -> str:
    """Return the name of a column: ``cosine_gaussian_one``."""
    return "_".join((quantity, *parts))


def matches(table: Mapping[str, np.ndarray], quantity: str, null: str = "") -> Sums:
    """Return what formulas need of one side of a pair.

    Parameters
    ----------
    table
        A row per latent: the content of `FIRST` or `SECOND`.
    quantity
        One of `QUANTITIES` that the pair has.
    null
        What chance gives is looked at in the place of the other SAE: "gaussian", ... Where no
        partners were looked for among it, there are none.
    """
    best = column(quantity, null) if null else quantity
    names = {"best": best, "one": column(best, ONE), "active": "active", "carried": "carried"}
    if names["one"] not in table:
        table = {**table, names["one"]: np.full(len(table[best]), np.nan)}
    return {key: np.asarray(table[name], dtype=np.float64) for key, name in names.items()}


def mean_max(sums: Sums) -> np.ndarray:
    """Return the mean of the best similarities."""
    return sums["best"].mean(axis=-1)


def one_to_one(sums: Sums) -> np.ndarray:
    """Return the mean similarity of latents and their partners."""
    found = np.isfinite(sums["one"])
    total, n = np.where(found, sums["one"], 0.0).sum(axis=-1), found.sum(axis=-1)
    return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)


def _above(least: float) -> Formula:
    """Return the formula of the share of latents with a similarity above so much."""
    return lambda sums: (sums["best"] > least).mean(axis=-1)


above_07 = _above(0.7)
above_09 = _above(0.9)


def frequency_weighted(sums: Sums) -> np.ndarray:
    """Return the mean of the best similarities, weighted by how often latents are active."""
    return _weighted(sums["best"], sums["active"])


def carried_weighted(sums: Sums) -> np.ndarray:
    """Return the mean of the best similarities, weighted by what latents carry."""
    return _weighted(sums["best"], np.maximum(sums["carried"], 0.0))


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (values * weights).sum(axis=-1) / weights.sum(axis=-1)


_SHARED = "Paulo and Belrose 2025, SAEs trained on the same data learn different features"
_metric = partial(Metric, direction="none", per="match")

MEASURE = Measure(
    name="similarity",
    text="How alike the live latents of two SAEs are, in weights and in activations, beside what"
    " chance alone gives.",
    compute="saeflow.measures.similarity.measure:measure_similarity",
    reads=("codes", "activations"),
    of="pair",
    together=True,
    metrics=(
        _metric(
            "mean_max", "Mean best similarity",
            "mean over latents i of one SAE of max_j s(i, j) over those of the other; of decoder"
            " rows it is called MCS",
            mean_max, "Sharkey et al. 2022, Taking features out of superposition (MMCS)",
        ),
        _metric(
            "one_to_one", "One-to-one similarity",
            "mean of s(i, j) over pairs of latents, each in one pair at most, whose sum is largest",
            one_to_one, _SHARED,
        ),
        _metric(
            "above_07", "Share above 0.7", "share of latents i with max_j s(i, j) > 0.7",
            above_07, _SHARED, unit="share of latents",
        ),
        _metric(
            "above_09", "Share above 0.9", "share of latents i with max_j s(i, j) > 0.9",
            above_09, "above_07 with a higher threshold", unit="share of latents",
        ),
        _metric(
            "frequency_weighted", "Frequency-weighted similarity",
            "Σ_i n_i max_j s(i, j) / Σ_i n_i, n_i the tokens on which i is active",
            frequency_weighted, "mean_max with weights",
        ),
        _metric(
            "carried_weighted", "Similarity weighted by what is carried",
            "Σ_i c_i max_j s(i, j) / Σ_i c_i, c_i the sum over tokens of f_i ⟨w_i, x̂ − b_dec⟩, 0"
            " where that is negative",
            carried_weighted, "mean_max with weights",
        ),
    ),
)  # fmt: skip
