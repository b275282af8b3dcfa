"""The facts of a generated world that an SAE's latents tell. Read `known_facts`."""

from __future__ import annotations

import pandas as pd

from saeflow.metrics.facts import COLUMNS, COUNTS, FACTS, fact_f1
from saeflow.tables.runs import Run


def known_facts(run: Run) -> pd.DataFrame:
    """Return by the fact's name its kind, n, share, best latent, auc and f1.

    Parameters
    ----------
    run
        With the measure ``facts``.
    """
    record = run.records["facts"]
    facts, counts = record.table(FACTS), record.table(COUNTS)
    sums = counts.groupby("fact", sort=False)[list(COLUMNS)].sum().loc[facts["fact"]]
    share = facts["n"].to_numpy() / record.facts["n_tokens"]
    f1 = fact_f1({name: sums[name].to_numpy(float) for name in sums})
    return facts.assign(share=share, f1=f1).set_index("fact")
