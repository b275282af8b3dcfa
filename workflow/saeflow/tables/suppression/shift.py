"""What the penalty took from the latents, beside what the theory says that it takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.tables.columns import runs_columns
from saeflow.tables.runs import Run
from saeflow.tables.suppression import latents

READS = latents.READS
QUANTILES = {"increase_low": 0.25, "increase": 0.5, "increase_high": 0.75}
COLUMNS = ("predicted", *QUANTILES, "slope", "n_latents")


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the increase of the live latents of each SAE fine-tuned from one with an L1 penalty.

    ``predicted`` is c d / 2, by which features that do not interfere are suppressed whatever
    their strength, and which fine-tuning should give back; ``increase`` the median over live
    latents, with its quartiles. ``slope`` is that of the medians over the recipes of a hook and
    method on the prediction, through the origin: 1 if the theory holds.
    """
    table = latents.build(runs)
    rows = []
    for key, chosen in table.groupby(runs_columns(), sort=False):
        live = chosen.loc[chosen["live"] & chosen["predicted"].notna(), "increase"].dropna()
        if live.empty:
            continue
        rows.append(
            {
                **dict(zip(runs_columns(), key, strict=True)),
                "predicted": chosen["predicted"].iloc[0],
                **{name: live.quantile(q) for name, q in QUANTILES.items()},
                "n_latents": len(live),
            }
        )
    found = pd.DataFrame(rows, columns=[*runs_columns(), *COLUMNS])
    groups = found.groupby(["model", "hook", "method"], sort=False)
    for _, index in groups.groups.items():
        x, y = found.loc[index, "predicted"], found.loc[index, "increase"]
        found.loc[index, "slope"] = float(np.dot(x, y) / np.dot(x, x))
    return found
