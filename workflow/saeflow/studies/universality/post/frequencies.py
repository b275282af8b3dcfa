"""How often features are active: the table, and its histograms. Read `frequencies`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from saeflow.studies.universality.comparisons import NULLS
from saeflow.studies.universality.reading import CODES, Pairs, key_of, saes_of
from saeflow.tables.builders import KEY, stack
from saeflow.tables.runs import Key, Run

EDGES = np.logspace(-5, 0, 101)
"""Of the bins of the post's histograms."""
MODELS, EXPANSIONS = "among_models", "among_expansions"
"""Columns: whether an SAE is compared with one of another model, or of another width alone."""
_SHOWN = {MODELS: "model", EXPANSIONS: "expansion"}
_OF_BINS = (
    "architecture", "expansion", "d_in", *_SHOWN, "low", "high", "n_features", "n_below", "n_dead",
    "n_latents", "n_tokens", "n_documents",
)  # fmt: skip


def frequencies(runs: Sequence[Run], *, pairs: Pairs) -> pd.DataFrame:
    """Return histograms of the shares of tokens on which features are active.

    One row per SAE and filled bin from ``low`` up to ``high``; an SAE that fills none has one of no
    features. ``n_dead`` features are active on no token, ``n_below`` on fewer than the first bin
    begins with. All others are counted, duplicates too.
    """
    compared = {name: set(_differing(pairs, what)) for name, what in _SHOWN.items()}
    parts = []
    measured = {key: sae for key, sae in saes_of(runs).items() if CODES in sae.run.records}
    for key, sae in measured.items():
        facts, latents = sae.codes.facts, sae.codes.table("latents.parquet")
        n_active = latents["active"].to_numpy()
        shares = n_active[n_active > 0] / facts["n_tokens"]
        counts = np.histogram(shares, EDGES)[0]
        filled = counts > 0 if counts.any() else np.arange(len(counts)) == 0
        bins = {"low": EDGES[:-1], "high": EDGES[1:], "n_features": counts}
        parts.append(
            pd.DataFrame({name: values[filled] for name, values in bins.items()}).assign(
                **key.columns(),
                architecture=sae.facts["architecture"],
                expansion=facts["d_sae"] / facts["d_in"],
                d_in=facts["d_in"],
                **{name: key in saes for name, saes in compared.items()},
                n_below=int((shares < EDGES[0]).sum()),
                n_dead=int((n_active == 0).sum()),
                n_latents=len(latents),
                n_tokens=facts["n_tokens"],
                n_documents=facts["n_documents"],
            )
        )
    return stack(parts, [*KEY, *_OF_BINS])


def _differing(pairs: Pairs, what: str) -> Iterable[Key]:
    """Yield the SAEs of pairs that differ in this alone."""
    for pair in pairs:
        if list(pair["differ"]) == [what] and pair["comparison"] not in NULLS:
            yield from (key_of(pair["first"]), key_of(pair["second"]))
