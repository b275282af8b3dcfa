"""The tables about single latents: how often they are active, and what fine-tuning did to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import interval
from saeflow.studies.suppression.laws import law_of
from saeflow.tables.builders import EXTENT, KEY, stack
from saeflow.tables.latents import activity, border, is_live
from saeflow.tables.pairs import pairs
from saeflow.tables.runs import ORIGINAL, Run
from saeflow.tables.statistics import correlation, partial_correlation, rank_correlation

EFFECTS = ("scaling", "increase")
QUANTILES = {"_low": 0.25, "": 0.5, "_high": 0.75}
"""What is told of the live latents of an SAE, by what its column's name ends with."""
_OF_FREQUENCIES = (
    "rank_by_frequency", "log10_frequency", "rank_by_sum", "activation_sum", "live",
    "border_log10_frequency", "border_decades", "n_dead",
)  # fmt: skip
_OF_LATENTS = (
    "fit", "solver", "latent", "log10_frequency", "strength", "live", "scaling", "increase",
    "rotation", "predicted", "law",
)  # fmt: skip
_OF_CORRELATIONS = ("fit", "solver", "effect", "cause", "kind", "n_latents", "r", "r_low", "r_high")
_OF_SHIFT = (
    "law", "predicted", *(f"{name}{end}" for name in ("increase", "share") for end in QUANTILES),
    "slope", "slope_low", "slope_high", "n_latents",
)  # fmt: skip


def frequencies(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per latent of each original SAE.

    Ranks count from 1, the most frequent (largest) first. ``log10_frequency`` is -inf for the
    ``n_dead`` latents of an SAE that never fired; ``border_log10_frequency`` is where the
    frequencies fall into two classes, -inf where they do not, ``border_decades`` how far apart
    these are.
    """
    parts = []
    for run in runs:
        if run.key.method != ORIGINAL:
            continue
        found = activity(run.latents(), run.extent()["n_tokens"])
        frequency = found["log10_frequency"].to_numpy()
        found_border = border(frequency)
        parts.append(
            found.assign(
                **run.key.columns(),
                **run.extent(),
                rank_by_frequency=_ranks(frequency),
                rank_by_sum=_ranks(found["activation_sum"].to_numpy()),
                live=is_live(frequency),
                border_log10_frequency=found_border.threshold,
                border_decades=found_border.decades,
                n_dead=int(np.isneginf(frequency).sum()),
            )
        )
    return stack(parts, [*KEY, *_OF_FREQUENCIES, *EXTENT])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the place of each value among all, 1 for the largest; equal ones in their order."""
    ranks = np.empty(len(values), dtype=int)
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return ranks


@lru_cache(maxsize=1)  # four tables begin with it
def latents(runs: tuple[Run, ...]) -> pd.DataFrame:
    """Return one row per latent of each fine-tuned SAE that ever fired in its parent.

    ``scaling`` is the norm of the latent's decoder row after over before, ``increase`` what that
    adds to its mean activation (strength), ``rotation`` the cosine between the rows. Frequency
    and strength are the parent's. ``fit`` is what was trainable, ``solver`` how it was found.
    ``predicted`` is what the parent's loss is predicted to have taken from the latent by its
    ``law`` (`saeflow.studies.suppression.laws`), in the same unit; NaN where there is none. The
    table is shared: do not change it.
    """
    parts = []
    for parent, tuned in pairs(runs):
        found = activity(parent.latents(), parent.extent()["n_tokens"])
        before = parent.decoder()
        scaling, rotation = change_of_rows(before, tuned.decoder())
        law, norms = law_of(parent.sae, before.shape[1]), np.linalg.norm(before, axis=1)
        found = found.assign(
            **tuned.key.columns(),
            **tuned.extent(),
            fit=tuned.sae["settings"]["method"],
            solver=tuned.sae["settings"]["solver"],
            law=law.name,
            predicted=law.shift(found["strength"].to_numpy(float), norms),
            live=is_live(found["log10_frequency"].to_numpy()),
            scaling=scaling,
            rotation=rotation,
            increase=(scaling - 1) * found["strength"],
        )
        parts.append(found[np.isfinite(found["log10_frequency"])])
    return stack(parts, [*KEY, *_OF_LATENTS, *EXTENT])


def change_of_rows(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return |after| / |before| and cos(before, after) of each row, both (d_sae,).

    A row of length zero, before or after, has neither: NaN.
    """
    norms = np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.einsum("ij,ij->i", before, after) / (norms[0] * norms[1])
        scaling = np.where(norms[0] > 0, norms[1] / norms[0], np.nan)
    return scaling, np.clip(cosine, -1, 1)


def correlations(runs: tuple[Run, ...]) -> pd.DataFrame:
    """Return the correlations over the live latents of each fine-tuned SAE.

    One row per SAE, effect (scaling or increase), cause (log10 strength or log10 frequency) and
    kind (plain, partial with the other cause held, or rank: Spearman's, which single latents of
    enormous scaling do not decide). Methods that leave every row as long as it was have no
    correlation.
    """
    return correlations_of(latents(runs))


def correlations_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return the same from the table of latents."""
    rows = []
    key_columns = [*KEY, "fit", "solver"]
    for key, chosen in table.groupby(key_columns, sort=False):
        live = chosen[chosen["live"] & (chosen["strength"] > 0)]
        for found in _of_sae(live):
            rows.append({**dict(zip(key_columns, key, strict=True)), **found})
    return pd.DataFrame(rows, columns=[*KEY, *_OF_CORRELATIONS])


def _of_sae(live: pd.DataFrame) -> Iterator[dict[str, Any]]:
    causes = {
        "strength": np.log10(live["strength"].to_numpy(float)),
        "frequency": live["log10_frequency"].to_numpy(float),
    }
    for effect in EFFECTS:
        y = live[effect].to_numpy(float)
        for cause, x in causes.items():
            (other,) = (values for name, values in causes.items() if name != cause)
            for kind, found in (
                ("plain", correlation(x, y)),
                ("partial", partial_correlation(x, y, other)),
                ("rank", rank_correlation(x, y)),
            ):
                which = {"effect": effect, "cause": cause, "kind": kind, "n_latents": len(live)}
                yield {**which, "r": found.value, "r_low": found.low, "r_high": found.high}


def shift(
    runs: tuple[Run, ...], *, frozen: Sequence[str], bootstrap: int, seed: int
) -> pd.DataFrame:
    """Return the increase of the live latents of each fine-tuned SAE beside what is predicted.

    Of the methods ``frozen`` alone, which leave the encoder as it was: elsewhere a latent's
    activation is not its old one, scaled.

    ``predicted`` is by what features that do not interfere are suppressed according to the SAE's
    ``law``, and what fine-tuning should give back; ``increase`` what it gives, in the same unit,
    and ``share`` its ratio to the prediction: medians over live latents, with quartiles. An SAE
    whose loss has no law has an increase alone. ``slope`` is that of the medians over the SAEs of
    a model, hook, method and law on the prediction, through the origin: 1 if the theory holds.
    Where there are several predictions it has an interval, over ``bootstrap`` resamples of the
    live latents of each SAE: of what other latents would give, not of what other coefficients
    would.
    """
    table = latents(runs)
    table = table[table["fit"].isin(frozen) & table["live"].astype(bool)]
    table = table[table["increase"].notna()].assign(share=table["increase"] / table["predicted"])
    rows, shares = [], []
    for key, live in table.groupby([*KEY, "law"], sort=False):
        shares.append(live["share"].to_numpy(float))
        rows.append(
            {
                **dict(zip([*KEY, "law"], key, strict=True)),
                "predicted": live["predicted"].median(),
                **{
                    f"{name}{end}": live[name].quantile(q)
                    for name in ("increase", "share")
                    for end, q in QUANTILES.items()
                },
                "n_latents": len(live),
            }
        )
    found = pd.DataFrame(rows, columns=[*KEY, *_OF_SHIFT])
    random = np.random.default_rng(seed)
    lawful = found[found["predicted"].notna()]
    groups = lawful.groupby(["model", "hook", "method", "law"], sort=False)
    for _, index in groups.groups.items():
        x = found.loc[index, "predicted"].to_numpy(float)
        found.loc[index, "slope"] = _slope(x, found.loc[index, "share"].to_numpy(float))
        if len(set(x)) > 1:
            ends = _interval(x, [shares[i] for i in index], bootstrap, random)
            found.loc[index, ["slope_low", "slope_high"]] = ends
    return found


def _slope(x: np.ndarray, share: np.ndarray) -> float | np.ndarray:
    """Return the slope through the origin of share x on x (n,); share may be (samples, n)."""
    return share @ (x * x) / (x @ x)


def _interval(
    x: np.ndarray, shares: Sequence[np.ndarray], samples: int, random: np.random.Generator
) -> tuple[float | None, float | None]:
    """Return the ends of the central 95 % of slopes over medians of resampled latents."""
    medians = [
        np.median(one[random.integers(len(one), size=(samples, len(one)))], axis=1)
        for one in shares
    ]
    return interval(_slope(x, np.stack(medians, axis=1)))
