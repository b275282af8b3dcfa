"""What the penalty took from the latents, beside what the theory says that it takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.measures.intervals import LEVEL
from saeflow.tables.columns import runs_columns
from saeflow.tables.runs import Run
from saeflow.tables.suppression import latents

READS = latents.READS
QUANTILES = {"increase_low": 0.25, "increase": 0.5, "increase_high": 0.75}
COLUMNS = ("predicted", *QUANTILES, "slope", "slope_low", "slope_high", "n_latents")
FROZEN = ("scale", "unrotated_decoder", "decoder")
"""What leaves the encoder alone: elsewhere a latent's activation is not its old one, scaled."""


def build(runs: Sequence[Run], *, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return the increase of the live latents of each SAE fine-tuned from one with an L1 penalty.

    Of the methods `FROZEN` alone.

    ``predicted`` is c d / 2, by which features that do not interfere are suppressed whatever
    their strength, and which fine-tuning should give back; ``increase`` the median over live
    latents, with its quartiles. ``slope`` is that of the medians over the recipes of a hook and
    method on the prediction, through the origin: 1 if the theory holds. Where there are several
    penalties it has an interval, over ``bootstrap`` resamples of the live latents of each SAE:
    of what other latents would give, not of what other coefficients would.
    """
    table = latents.build(runs)
    table = table[table["fit"].isin(FROZEN)]
    rows, increases = [], []
    for key, chosen in table.groupby(runs_columns(), sort=False):
        live = chosen.loc[chosen["live"] & chosen["predicted"].notna(), "increase"].dropna()
        if live.empty:
            continue
        increases.append(live.to_numpy(float))
        rows.append(
            {
                **dict(zip(runs_columns(), key, strict=True)),
                "predicted": chosen["predicted"].iloc[0],
                **{name: live.quantile(q) for name, q in QUANTILES.items()},
                "n_latents": len(live),
            }
        )
    found = pd.DataFrame(rows, columns=[*runs_columns(), *COLUMNS])
    random = np.random.default_rng(seed)
    groups = found.groupby(["model", "hook", "method"], sort=False)
    for _, index in groups.groups.items():
        x = found.loc[index, "predicted"].to_numpy(float)
        found.loc[index, "slope"] = _slope(x, found.loc[index, "increase"].to_numpy(float))
        if len(set(x)) > 1:
            ends = _interval(x, [increases[i] for i in index], bootstrap, random)
            found.loc[index, ["slope_low", "slope_high"]] = ends
    return found


def _slope(x: np.ndarray, y: np.ndarray) -> float | np.ndarray:
    """Return the slope through the origin of y on x (n,); y may be (samples, n)."""
    return y @ x / (x @ x)


def _interval(
    x: np.ndarray, increases: Sequence[np.ndarray], samples: int, random: np.random.Generator
) -> np.ndarray:
    """Return the ends of the central 95 % of slopes over medians of resampled latents."""
    medians = [
        np.median(one[random.integers(len(one), size=(samples, len(one)))], axis=1)
        for one in increases
    ]
    slopes = _slope(x, np.stack(medians, axis=1))
    return np.quantile(slopes, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
