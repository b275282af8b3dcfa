"""What is said of effects, of latents whose effects are known."""

import numpy as np
import pandas as pd
import pytest

from saeflow.studies.universality.matches.effects import effects
from saeflow.tables.runs import Key, Record, Run


def test_effects_are_summed_over_active_features_and_told_with_their_quality():
    latents = pd.DataFrame(
        {
            "latent": range(5), "effect": [2.0, -1.0, 0.0, 0.0, 3.0],
            "absolute": [2.0, 1.5, 0.0, 4.0, 3.0], "estimate": [1.0, *[np.nan] * 4],
            "exact": [1.1, *[np.nan] * 4],
        }
    )  # fmt: skip
    facts = {
        "n_tokens": 50, "n_documents": 3, "n_predictions": 40, "n_exact": 1, "correlation": None,
        "rank_correlation": None,
    }  # fmt: skip
    key = Key("m", "world", "p", "mlp_out.1", "topk", 0, eval_dataset="world", eval_packing="p")
    run = Run(key, {"effects": Record(facts, {"latents.parquet": latents}.__getitem__)})
    (row,) = effects([run]).to_dict("records")
    assert row["n_active"] == 4
    assert row["harmful"] == 0.25
    assert row["effect"] == pytest.approx(0.1)  # 4 nats of 40 tokens
    assert row["n_exact"] == 1 and row["correlation"] is None and row["n_documents"] == 3
    assert effects([]).empty
