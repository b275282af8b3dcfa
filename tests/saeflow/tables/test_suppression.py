import dataclasses

import numpy as np
import pandas as pd
import pytest

import made_up_study
from saeflow.errors import DataError
from saeflow.measures.intervals import estimates
from saeflow.tables.runs import ORIGINAL
from saeflow.tables.suppression import (
    frontier,
    l0,
    l2_ratio,
    metrics,
    mse_reduction,
    training_curves,
)

OPTIONS = dict(bootstrap=200, seed=0)


@pytest.mark.parametrize("module", [frontier, l0, l2_ratio, metrics])
def test_a_table_has_one_row_per_sae_with_its_metrics_and_intervals(module):
    runs = made_up_study.runs(n_blocks=2, seeds=(0, 1))
    table = module.build(runs)
    keys = table[["model", "hook", "sae", "seed", "method"]]
    assert len(table) == len(runs) and not keys.duplicated().any()
    found = runs[5].records["reconstruction"]["metrics"]["l2_ratio" if module is l2_ratio else "l0"]
    name = "l2_ratio" if module is l2_ratio else "l0"
    assert [table[c][5] for c in (name, f"{name}_low", f"{name}_high")] == list(found.values())
    assert set(table["n_documents"]) == {made_up_study.N_DOCUMENTS}


def test_a_metric_that_was_not_measured_is_left_empty():
    runs = [
        dataclasses.replace(r, records={"reconstruction": r.records["reconstruction"]})
        for r in made_up_study.runs(n_blocks=1)
    ]
    assert frontier.build(runs)["delta_ce"].isna().all()


def pair(before, after, tokens=(10.0, 10.0)):
    runs = {r.key.method: r for r in made_up_study.runs(n_blocks=1) if r.key.sae == "relu-weak"}

    def table(errors):
        return pd.DataFrame({"document": [0, 1], "tokens": tokens, "squared_error": errors})

    parent = dataclasses.replace(runs[ORIGINAL], read_documents=lambda: table(before))
    return parent, dataclasses.replace(runs["scale"], read_documents=lambda: table(after))


def test_mse_reduction_is_one_minus_the_ratio_of_summed_errors():
    table = mse_reduction.build(pair([4.0, 6.0], [3.0, 5.0]), **OPTIONS)
    assert table["mse_reduction"].tolist() == [pytest.approx(0.2)]
    assert table["method"].tolist() == ["scale"]


def test_its_interval_is_paired_by_document():
    # Every document lost exactly a tenth, however different the documents are.
    table = mse_reduction.build(pair([1.0, 1000.0], [0.9, 900.0]), **OPTIONS)
    assert table["mse_reduction_low"][0] == pytest.approx(0.1)
    assert table["mse_reduction_high"][0] == pytest.approx(0.1)


def test_the_paired_interval_is_narrower_than_that_of_unpaired_errors():
    runs = made_up_study.runs(n_blocks=1)
    row = mse_reduction.build(runs, **OPTIONS).iloc[0]
    tuned = next(r for r in runs if r.key.method == row["method"] and r.key.sae == row["sae"])
    column = {"e": tuned.read_documents()["squared_error"].to_numpy()}
    alone = estimates({"e": lambda s: s["e"]}, column, constants={}, samples=200, seed=0)["e"]
    relative = (alone.high - alone.low) / alone.value
    assert row["mse_reduction_high"] - row["mse_reduction_low"] < relative / 2


def test_different_documents_cannot_be_compared():
    parent, tuned = pair([4.0, 6.0], [3.0, 5.0])
    other = parent.read_documents().assign(document=[0, 2])
    parent = dataclasses.replace(parent, read_documents=lambda: other)
    with pytest.raises(DataError, match="different documents"):
        mse_reduction.build([parent, tuned], **OPTIONS)


def test_a_tuned_sae_without_its_parent_is_an_error():
    with pytest.raises(DataError, match="was not measured"):
        mse_reduction.build(pair([4.0, 6.0], [3.0, 5.0])[1:], **OPTIONS)


def test_a_study_without_fine_tuning_has_an_empty_table_with_all_columns():
    table = mse_reduction.build([], **OPTIONS)
    assert table.empty and "mse_reduction" in table and "method" in table


def test_training_curves_hold_every_log_of_an_original():
    trainings = made_up_study.trainings(n_blocks=2)
    table = training_curves.build(trainings)
    originals = [t for t in trainings if t.key.method == ORIGINAL]
    assert len(table) == 50 * len(originals)
    first = table[(table["hook"] == originals[0].key.hook) & (table["sae"] == originals[0].key.sae)]
    np.testing.assert_array_equal(first["fvu"], originals[0].read_log()["fvu"])
