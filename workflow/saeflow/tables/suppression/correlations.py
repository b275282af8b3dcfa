"""What goes with a latent's scaling: its strength, its frequency, and each with the other held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.tables.columns import runs_columns
from saeflow.tables.correlation import correlation, partial_correlation, rank_correlation
from saeflow.tables.runs import Run
from saeflow.tables.suppression import latents

READS = latents.READS
EFFECTS = ("scaling", "increase")


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the correlations over the live latents of each fine-tuned SAE.

    One row per SAE, effect (scaling or increase), cause (log10 strength or log10 frequency) and
    kind (plain, partial with the other cause held, or rank: Spearman's, which single latents of
    enormous scaling do not decide). Methods that leave every row as long as it
    was have no correlation.
    """
    return of_latents(latents.build(runs))


def of_latents(table: pd.DataFrame) -> pd.DataFrame:
    """Return the same from the table of latents."""
    rows = []
    columns = [*runs_columns(), "fit", "solver"]
    for key, chosen in table.groupby(columns, sort=False):
        live = chosen[chosen["live"] & (chosen["strength"] > 0)]
        for found in _of_sae(live):
            rows.append({**dict(zip(columns, key, strict=True)), **found})
    extra = ["effect", "cause", "kind", "n_latents", "r", "r_low", "r_high"]
    return pd.DataFrame(rows, columns=[*columns, *extra])


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
                yield {
                    "effect": effect,
                    "cause": cause,
                    "kind": kind,
                    "n_latents": len(live),
                    "r": found.value,
                    "r_low": found.low,
                    "r_high": found.high,
                }
