"""Tables of facts, from sums by hand."""

import numpy as np
import pandas as pd
import pytest

import made_up_facts as made_up
from saeflow.metrics.registry import metrics_of
from saeflow.studies.classification.facts.tables import captured, facts

METRICS = tuple(metrics_of("facts"))
NAMES, KINDS = ["a", "b", "c"], ["lexical", "role", "role"]


def sums(documents=2, **columns):
    """Return counts of three facts with the same sums in each document, of columns by fact."""
    given = {"positive": [10, 10, 10], "absorbed": [1, 2, 0]}
    for name in ("best", "active", "union", "probe"):
        given |= {f"{name}_fired": [10, 10, 10], f"{name}_hits": [8, 6, 9]}
    table = pd.DataFrame({"fact": NAMES, **given, **columns})
    parts = [table.assign(document=document) for document in range(documents)]
    order = pd.concat(parts).sort_values(["fact", "document"], kind="stable")
    return order.reset_index(drop=True)


@pytest.fixture
def run():
    counts = sums(probe_hits=[8, 5, 9])  # F1 of the second probe is 0.5
    return made_up.run(made_up.key(), made_up.chosen(NAMES, KINDS, [1, 3, 2]), counts)


def test_a_row_per_fact_with_its_numbers(run):
    found = facts([run], metrics=METRICS).set_index("fact")
    assert found["fact_f1"].tolist() == pytest.approx([0.8, 0.6, 0.9])
    assert found["fact_absorption"].tolist() == pytest.approx([1 / 8, np.nan, 0], nan_ok=True)
    assert found["n_latents"].tolist() == [1, 3, 2] and found.at["b", "latents"] == "0 1 2"
    assert found["n_absorbing"].tolist() == [2, 2, 2]
    assert found[["l0", "d_sae", "n_tokens"]].iloc[0].tolist() == [32, 512, 1200]
    assert found["fact_f1_low"].isna().all()  # no resamples were asked for


def test_facts_are_counted_that_are_told_well_by_kind(run):
    found = captured([run], metrics=METRICS).set_index("kind")
    assert found["n_facts"].to_dict() == {"lexical": 1, "role": 2, "all": 3}
    assert found["captured"].to_dict() == {"lexical": 1, "role": 1, "all": 2}
    assert found["captured_probe"].to_dict() == {"lexical": 1, "role": 1, "all": 2}
    assert found["fact_f1"].to_dict() == pytest.approx(
        {"lexical": 0.8, "role": 0.75, "all": 2.3 / 3}
    )
    # of absorption the mean over the facts that the probe tells
    assert found.at["all", "fact_absorption"] == pytest.approx((1 / 8 + 0) / 2)
    assert found["split"].to_dict() == pytest.approx({"lexical": 0, "role": 1, "all": 2 / 3})
    assert found.at["all", "n_latents"] == 2
    assert (found["weights"] == "trained").all()


def test_facts_at_the_border_are_not_captured():
    counts = sums(best_hits=[7, 7, 8])
    run = made_up.run(made_up.key(), made_up.chosen(NAMES, KINDS), counts)
    assert captured([run], metrics=METRICS).set_index("kind").at["all", "captured"] == 1


def test_intervals_are_over_documents():
    # of two documents that differ, a resample has the one, the other, or both: F1 1, 0 or 0.5
    counts = sums()
    counts.loc[counts["document"] == 0, ["best_hits"]] = 10
    counts.loc[counts["document"] == 1, ["best_hits"]] = 0
    run = made_up.run(made_up.key(), made_up.chosen(NAMES, KINDS), counts)
    row = facts([run], metrics=METRICS, bootstrap=400, seed=0).iloc[0]
    assert (row["fact_f1"], row["fact_f1_low"], row["fact_f1_high"]) == (0.5, 0.0, 1.0)
    every = captured([run], metrics=METRICS, bootstrap=400, seed=0).set_index("kind").loc["all"]
    # all facts rise and fall together, so that three are captured or none
    assert (every["captured"], every["captured_low"], every["captured_high"]) == (0, 0, 3)


def test_shuffled_models_stand_beside_the_real_one(run):
    other = made_up.run(made_up.key(model="noise"), made_up.chosen(NAMES, KINDS), sums())
    del other.records["sae"]  # SAEs are not read for this table
    found = captured([run, other], metrics=METRICS, shuffled={"noise": "world-s"})
    assert found.groupby("model")["weights"].first().to_dict() == {
        "noise": "noise",
        "world-s": "trained",
    }
    assert set(found["of_model"]) == {"world-s"}


def test_without_runs_there_are_empty_tables():
    for build in (facts, captured):
        table = build([], metrics=METRICS)
        assert table.empty and {"model", "fact_f1", "fact_f1_low"} <= set(table)
