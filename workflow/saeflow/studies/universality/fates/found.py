"""Tables of which features other SAEs find: of each feature, by what it is, and what those carry.

The SAEs that are asked about are the study's own; other SAEs are those at the same hook of the same
model that the study compares with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import Estimate, interval, mean_of, resample
from saeflow.studies.universality.fates.designs import QUANTITIES
from saeflow.studies.universality.fates.features import ALL, PLACE, RETRAINED, Asked
from saeflow.studies.universality.reading import Pairs
from saeflow.tables.builders import columns, stack
from saeflow.tables.runs import Run

PROPERTIES = ("frequency", "strength", "carried", "effect")
"""What a feature is ranked by."""

WEIGHTS = ("carried", "activation", "effect")
"""What found features may have most of."""

_DECILES, _LEAST = 10, 5  # bins, and features in each


def found(runs: Sequence[Run], *, pairs: Pairs, own: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row per live latent of the study's own SAEs.

    Parameters
    ----------
    own
        Wildcards of the study's own SAEs, of one seed.

    Returns
    -------
    DataFrame
        The SAE; the columns of `Asked.features`; ``n_all``, with how many SAEs it is compared, and
        of each quantity ``correlation_all``, the share of them that have a feature with a
        similarity above `FOUND`; the same of `RETRAINED` ones, NaN where these are none or all.
    """
    parts = []
    for one in Asked.each(runs, pairs, own):
        table = one.features.assign(**one.columns())
        for of, where in one.found():
            table[f"n_{of['among']}"] = of["n_saes"]
            table[f"{of['quantity']}_{of['among']}"] = where.mean(axis=1)
        parts.append(table)
    numbers = [f"{name}_{among}" for among in (ALL, RETRAINED) for name in ("n", *QUANTITIES)]
    known = ["latent", "active", *PROPERTIES, "activation", "fact"]
    wanted = [*PLACE, *known, *numbers]
    return stack((table.reindex(columns=wanted) for table in parts), wanted)


def found_by(
    runs: Sequence[Run],
    *,
    pairs: Pairs,
    own: Sequence[Mapping[str, Any]],
    bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how many SAEs find features of each tenth by each of `PROPERTIES`.

    Returns
    -------
    DataFrame
        The SAE; ``property``, ``tenth`` from 1 (least), its ``lowest`` and ``highest`` value and
        number of features; ``quantity``, ``among`` and ``n_saes``; with its interval ``share``, the
        mean share of these SAEs that find a feature. With few features there are fewer parts.
    """
    rows = []
    for one in Asked.each(runs, pairs, own):
        for name in PROPERTIES:
            values = one.features[name].to_numpy(float)
            if not np.isfinite(values).all():
                continue
            order = np.argsort(values, kind="stable")
            n_parts = max(1, min(_DECILES, len(order) // _LEAST))
            for tenth, part in enumerate(np.array_split(order, n_parts), start=1):
                about = {
                    **one.columns(), "property": name, "tenth": tenth, "n_tenths": n_parts,
                    "lowest": values[part].min(), "highest": values[part].max(),
                    "n_features": len(part),
                }  # fmt: skip
                for of, where in one.found():
                    share = mean_of(where[part].mean(axis=1), bootstrap, seed)
                    rows.append({**about, **of, **columns({"share": share})})
    parts = ["property", "tenth", "n_tenths", "lowest", "highest", "n_features"]
    ends = ["share", "share_low", "share_high"]
    return pd.DataFrame(rows, columns=[*PLACE, *parts, "quantity", "among", "n_saes", *ends])


def found_ranked(
    runs: Sequence[Run],
    *,
    pairs: Pairs,
    own: Sequence[Mapping[str, Any]],
    bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what features carry that at least so many SAEs find, a row per number.

    Returns
    -------
    DataFrame
        The SAE; ``quantity``, ``among``, ``n_saes``; ``at_least``, so many find a feature; with
        their intervals over features ``features``, the share of such features, and of `WEIGHTS`
        the share that they have of all: "effect" is empty where it was not measured. ``most`` is
        what as many features have of what is carried that carry most.
    """
    rows = []
    for one in Asked.each(runs, pairs, own):
        weights = {name: one.features[name].to_numpy(float) for name in WEIGHTS}
        weights = {name: own for name, own in weights.items() if np.isfinite(own).all()}
        best = np.append(0.0, np.cumsum(np.sort(weights["carried"])[::-1]))
        known = {"features": np.ones(len(one.features)), **weights}
        for of, where in one.found():
            times = where.sum(axis=1)
            for at_least in range(of["n_saes"] + 1):
                these = times >= at_least
                shares = {
                    name: _portion(own, these, bootstrap, seed) for name, own in known.items()
                }
                rows.append(
                    {
                        **one.columns(), **of, "n_features": len(these), "at_least": at_least,
                        **columns(shares), "most": best[these.sum()],
                    }
                )  # fmt: skip
    ends = [f"{name}{end}" for name in ("features", *WEIGHTS) for end in ("", "_low", "_high")]
    about = ["quantity", "among", "n_saes", "n_features", "at_least"]
    return pd.DataFrame(rows, columns=[*PLACE, *about, *ends, "most"])


def _portion(values: np.ndarray, these: np.ndarray, bootstrap: int, seed: int) -> Estimate:
    """Return what some have of the sum of all, and its interval over features."""
    sums = {"these": values * these, "all": values}
    drawn = resample(sums, samples=bootstrap, seed=seed) if bootstrap else {}
    ends = interval(drawn["these"] / drawn["all"]) if drawn else (None, None)
    return Estimate(float(sums["these"].sum() / values.sum()), *ends)
