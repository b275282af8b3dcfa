"""What a fine-tuned SAE keeps of its parent: which latents are active, and on what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.tables.columns import runs_columns
from saeflow.tables.pairs import pairs
from saeflow.tables.runs import Run

READS = ("reconstruction",)
COLUMNS = (
    "same_counts", "same_documents", "l0_before", "l0_after", "n_latents", "n_tokens",
    "n_documents",
)  # fmt: skip


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per fine-tuned SAE.

    ``same_counts`` is the share of latents that are active on as many tokens as before,
    ``same_documents`` the share of documents with as many active latents. Both are 1 where the
    encoder is frozen: the active sets are the same ones.
    """
    rows = []
    for parent, tuned in pairs(runs):
        before, after = parent.read_latents(), tuned.read_latents()
        documents = parent.read_documents()["active"], tuned.read_documents()["active"]
        l0 = (run.records["reconstruction"]["metrics"]["l0"]["value"] for run in (parent, tuned))
        rows.append(
            {
                **tuned.key.columns(),
                "same_counts": _share(before["fired"], after["fired"]),
                "same_documents": _share(*documents),
                **dict(zip(("l0_before", "l0_after"), l0, strict=True)),
                "n_latents": len(before),
                **tuned.extent(),
            }
        )
    return pd.DataFrame(rows, columns=[*runs_columns(), *COLUMNS])


def _share(before: pd.Series, after: pd.Series) -> float:
    return float(np.mean(before.to_numpy() == after.to_numpy()))
