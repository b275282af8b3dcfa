"""The tables that the post's authors released, in the form of ours.

Evan Anders' repository holds what the post's figures were drawn from. Figures of this study can be
drawn of these tables, which shows that they say what the post's say. Read `context_sizes`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from saeflow.studies.reconstruction.context.tables import SEEN

MODEL, SAE, CONTEXT = "gpt2-small", "res-jb", 128
"""The post's model, its SAEs, and the context that these were trained at."""
_PROMPTS = 100
_NAMES = {
    "context_position": "position",
    "layer": "block",
    "l0s": "l0",
    "l1s": "l1",
    "mses": "squared_error",
    "act_l2": "act_norm",
    "loss_base": "ce_clean",
    "loss_reconst": "ce_sae",
    "delta_CE_loss": "delta_ce",
}


def context_sizes(path: Path) -> pd.DataFrame:
    """Read context_size_df.csv: a row per layer and position, 1 to 1,024.

    Returns
    -------
    DataFrame
        Columns of `saeflow.studies.reconstruction.context.tables.exact`, without ``fvu``. Position
        1 is BOS, which the SAEs replaced too. Texts are from the start of the split that the SAEs
        were trained on. The last position predicts nothing; the file has 0 there, this table NaN.
    """
    table = pd.read_csv(path).rename(columns=_NAMES)
    table[["ce_clean", "ce_sae", "delta_ce"]] = table[["ce_clean", "ce_sae", "delta_ce"]].where(
        table["position"] < table["position"].max()
    )
    return _about(table).assign(
        part=SEEN,
        special=table["position"] == 1,
        first=table["position"],
        last=table["position"],
        n_tokens=_PROMPTS,
        n_predictions=_PROMPTS,
    )


def _about(table: pd.DataFrame) -> pd.DataFrame:
    """Say whose SAEs a table with a ``block`` is of, in the columns of ours."""
    return table.assign(
        model=MODEL,
        hook="resid_pre." + table["block"].astype(str),
        site="resid_pre",
        sae=SAE,
        seed=0,
        method="original",
        packing="",
        training_context=CONTEXT,
        input_norm="center",
    )
