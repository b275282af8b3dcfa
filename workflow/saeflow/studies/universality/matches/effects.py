"""How good the estimates are of what the model loses without a feature. Read `effects`."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saeflow.metrics.effects import FILE
from saeflow.tables.builders import EXTENT, KEY
from saeflow.tables.runs import Run

_EFFECTS = "effects"
_FACTS = ("n_predictions", "n_exact", "correlation", "rank_correlation")


def effects(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per SAE.

    Returns
    -------
    DataFrame
        The SAE; ``n_active``, features that are active on these tokens; ``harmful``, the share of
        these without which the loss falls, as estimated; ``effect``, the sum of all estimates, in
        nats per predicted token; ``n_exact`` features that were taken out of the model one by one,
        and over these Pearson's ``correlation`` and Spearman's ``rank_correlation`` of what the
        loss gains with its estimate on the same sequences.
    """
    rows = []
    for run in runs:
        record = run.records[_EFFECTS]
        latents = record.table(FILE)
        active = latents[latents["absolute"] > 0]
        rows.append(
            {
                **run.key.columns(),
                **{name: record.facts[name] for name in (*EXTENT, *_FACTS)},
                "n_active": len(active),
                "harmful": (active["effect"] < 0).mean(),
                "effect": active["effect"].sum() / record.facts["n_predictions"],
            }
        )
    wanted = ("n_active", "harmful", "effect", *_FACTS)
    return pd.DataFrame(rows, columns=[*KEY, *EXTENT, *wanted])
