"""Tables of pairs and ways, from sums of a few documents that can be added up by hand."""

import numpy as np
import pandas as pd
import pytest

from made_up_study import record
from saeflow.metrics.propagation import N_BINS, PAIRS, QUANTITIES, RATIOS, WAYS
from saeflow.metrics.registry import metrics_of
from saeflow.studies.reconstruction.propagation.tables import parts, propagation, split, together
from saeflow.tables.runs import DOCUMENTS, Key, Record, Run

OPTIONS = {"metrics": ("l0", "fvu"), "bootstrap": 100, "seed": 0}


def pairs(hook, sae, *, factor=2.0, n=4):
    """Two tokens in each document: the quantities are 1 and 3, and ``factor`` times that later."""
    columns = {"document": np.arange(n), "tokens": np.full(n, 2.0), "at_index": np.ones(n)}
    for name in QUANTITIES:
        columns |= {
            name: np.full(n, 4.0), f"{name}_compared": np.full(n, 2.0),
            f"{name}_at_index": factor * np.arange(1.0, n + 1),
            f"{name}_inverse": np.full(n, 4 / 3), f"{name}_inverted": np.full(n, 2.0),
        }  # fmt: skip
        for way, own in zip(WAYS, (factor, 1.0), strict=True):
            columns |= {f"{name}_{way}": 4 * own * np.ones(n), f"{name}_{way}_ratio": 2 * own}
    return pd.DataFrame(columns).assign(hook=hook, sae=sae)


def ratios(hook, sae):
    named = [(quantity, way) for quantity in QUANTITIES for way in WAYS]
    rows = [(hook, sae, *name, N_BINS // 2, 8) for name in named]
    return pd.DataFrame(rows, columns=["hook", "sae", "quantity", "way", "bin", "tokens"])


def run(hook="resid_post.0", sae="a", later=(("resid_post.1", "a"), ("resid_post.2", "b"))):
    n = 4
    losses = {"ce_full": 3.0, "ce_direct": 2.0, "ce_attention_frozen": 2.5, "ce_mlp_frozen": 2.25}
    losses |= {"ce_patterns_frozen": np.nan, "ce_chain": 5.0, "ce_clean": 1.5}
    documents = pd.DataFrame({"document": range(n), "tokens": 2.0, "predictions": 2.0, **losses})
    files = {
        DOCUMENTS: documents,
        PAIRS: pd.concat([pairs(*one) for one in later]) if later else pd.DataFrame(),
        RATIOS: pd.concat([ratios(*one) for one in later]) if later else pd.DataFrame(),
    }
    facts = {"n_tokens": 8, "n_documents": n}
    own = {"propagation": Record(facts, files.__getitem__)} if hook != "resid_post.2" else {}
    return Run(Key("m", "d", "p", hook, sae, eval_dataset="d", eval_packing="p"), own)


def reconstructed(run, fvu=0.25):
    sums = {"tokens": 8.0, "active": 16.0, "squared_error": fvu, "squared_deviation": 1.0}
    found = record(documents=pd.DataFrame({"document": [0], **sums}))
    return Run(run.key, {**run.records, "reconstruction": found})


def test_each_pair_has_its_changes_by_hand():
    table = propagation([run()], **OPTIONS)
    assert len(table) == 2 * len(QUANTITIES) * len(WAYS)
    found = table[(table["quantity"] == "l0") & (table["later_hook"] == "resid_post.1")]
    full, direct = (found[found["way"] == way].iloc[0] for way in WAYS)
    assert (full["change"], full["mean_change"], full["median_change"]) == (1.0, 1.0, 0.0)
    assert (full["change_low"], full["change_high"]) == (1.0, 1.0)
    assert (direct["change"], direct["mean_change"]) == (0.0, 0.0)
    assert (full["clean"], full["changed"], full["left_out"]) == (2.0, 4.0, 0)
    assert (full["later_block"], full["later_sae"], full["n_tokens"]) == (1, "a", 8)
    # documents 0 and 2 above (2 and 6 at the index), 1 and 3 below: mean inverse (1 + 1/3) / 2
    assert full["published_change"] == pytest.approx((2 + 6) / 2 * (2 / 3) - 1)
    assert np.isnan(direct["published_change"])


def test_what_is_known_of_later_saes_is_beside_them():
    runs = [run(), reconstructed(run("resid_post.1")), reconstructed(run("resid_post.2", "b"), 0.5)]
    table = propagation(runs, **OPTIONS)
    own = table[table["hook"] == "resid_post.0"].groupby("later_sae")[["later_l0", "later_fvu"]]
    assert own.first().loc["a"].tolist() == [2.0, 0.25] and own.first().loc["b", "later_fvu"] == 0.5
    assert propagation([run()], **OPTIONS)["later_fvu"].isna().all()


def test_short_contexts_have_no_published_number():
    found = run()
    found.records["propagation"].table(PAIRS)["at_index"] = 0.0
    assert propagation([found], **OPTIONS)["published_change"].isna().all()


def test_an_sae_whose_later_ones_could_not_be_made_has_no_row():
    assert propagation([run(later=())], **OPTIONS).empty


def test_each_way_has_its_loss_and_what_a_model_does_not_allow_has_none():
    table = split([run()], metrics=metrics_of("propagation"), bootstrap=100, seed=0)
    found = table.set_index("way")["delta_ce"]
    assert found.to_dict() == pytest.approx(
        {
            "full": 0.75, "direct": 0.25, "attention_frozen": 0.5, "mlp_frozen": 0.375,
            "patterns_frozen": np.nan, "chain": 1.75,
        },
        nan_ok=True,
    )  # fmt: skip
    assert table.set_index("way").loc["full", "delta_ce_low"] == 0.75
    assert set(together(table)["way"]) == {"full", "chain"}
    assert set(parts(table)["way"]) == set(found.index) - {"chain"}
