"""The tables that any study may have, on sums that are known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import made_up_study
from made_up_study import OPTIONS, record
from saeflow.errors import DataError
from saeflow.metrics.intervals import form, totals_and_draws
from saeflow.metrics.metric import ratio
from saeflow.tables.builders import metrics_table, paired_table, training_logs
from saeflow.tables.runs import ORIGINAL

TOKENS = np.array([10.0, 30.0])


def test_a_table_has_one_row_per_sae_with_its_metrics_and_intervals():
    runs = made_up_study.runs(n_blocks=2, seeds=(0, 1))
    table = metrics_table(runs, metrics=["l2_ratio", "delta_ce"], **OPTIONS)
    keys = table[["model", "hook", "sae", "seed", "method"]]
    assert len(table) == len(runs) and not keys.duplicated().any()
    found = runs[5].estimates(["l2_ratio", "delta_ce"], **OPTIONS)
    for name, estimate in found.items():
        assert [table[c][5] for c in (name, f"{name}_low", f"{name}_high")] == list(estimate)
    assert set(table["n_documents"]) == {made_up_study.N_DOCUMENTS}


def test_facts_of_the_saes_stand_beside_the_key():
    runs = made_up_study.runs(n_blocks=1)
    table = metrics_table(runs, metrics=["l0"], facts=["architecture"], originals=True)
    assert set(table["method"]) == {ORIGINAL} and len(table) == len(made_up_study.RECIPES)
    assert table["architecture"].tolist() == [name.partition("-")[0] for name in table["sae"]]


def test_what_makes_an_sae_doubtful_is_noted_beside_its_numbers_and_told_once(caplog):
    """Of 200 latents 44 and fewer are active; in one SAE 51 are made to be, in another none."""
    runs = list(made_up_study.runs(n_blocks=1))
    for index, active in ((0, 51.0), (3, 0.0)):
        sums = runs[index].documents("reconstruction")
        other = replaced(runs[index], "reconstruction", sums.assign(active=active * sums["tokens"]))
        runs[index] = other
    table = metrics_table(runs, metrics=["l0", "fvu"])
    assert table["notes"][0].startswith("51 of 200 latents are active on a token, more than a")
    assert table["notes"][3].startswith("0 latents are active on a token, fewer than one")
    assert (table["notes"].drop(index=[0, 3]) == "").all()
    (line,) = caplog.messages
    assert f"2 of {len(runs)} SAEs have notes" in line and "51 of 200" in line
    assert "notes" not in metrics_table(runs, metrics=["fvu"])  # nothing of it can be doubted


def test_a_baseline_is_what_it_was_meant_to_be_and_has_no_notes():
    run = made_up_study.runs(n_blocks=1)[0]
    sums = run.documents("reconstruction").assign(active=0.0)
    facts = record({"architecture": "relu", "baseline": "mean"})
    silent = dataclasses.replace(replaced(run, "reconstruction", sums), key=run.key)
    silent.records["sae"] = facts
    table = metrics_table([silent], metrics=["l0"], facts=["architecture", "baseline"])
    assert table.loc[0, ["architecture", "baseline", "notes"]].tolist() == ["mean", "mean", ""]


def replaced(run, measure, table):
    return dataclasses.replace(run, records={**run.records, measure: record(documents=table)})


def pair(measure, before, after, counts="tokens"):
    """Return a parent and an SAE fine-tuned from it with these sums, columns of two documents."""
    runs = {r.key.method: r for r in made_up_study.runs(n_blocks=1) if r.key.sae == "relu-weak"}
    both = zip((ORIGINAL, "scale"), (before, after), strict=True)
    return [
        replaced(runs[name], measure, pd.DataFrame({"document": [0, 1], counts: TOKENS, **sums}))
        for name, sums in both
    ]


def reduced(before, after):
    runs = pair("reconstruction", {"squared_error": before}, {"squared_error": after})
    return paired_table(runs, metrics=["mse_reduction"], **OPTIONS)


def test_mse_reduction_is_one_minus_the_ratio_of_summed_errors():
    table = reduced([4.0, 6.0], [3.0, 5.0])
    assert table["mse_reduction"].tolist() == [pytest.approx(0.2)]
    assert table["method"].tolist() == ["scale"]


def test_its_interval_is_paired_by_document():
    # Every document lost exactly a tenth, however different the documents are.
    table = reduced([1.0, 1000.0], [0.9, 900.0])
    assert table["mse_reduction_low"][0] == pytest.approx(0.1)
    assert table["mse_reduction_high"][0] == pytest.approx(0.1)


def test_the_paired_interval_is_narrower_than_that_of_unpaired_errors():
    runs = made_up_study.runs(n_blocks=1)
    row = paired_table(runs, metrics=["mse_reduction"], **OPTIONS).iloc[0]
    tuned = next(r for r in runs if r.key.method == row["method"] and r.key.sae == row["sae"])
    column = {"e": tuned.documents("reconstruction")["squared_error"].to_numpy()}
    alone = form(lambda s: s["e"], *totals_and_draws(column, 200, 0))
    relative = (alone.high - alone.low) / alone.value
    assert row["mse_reduction_high"] - row["mse_reduction_low"] < relative / 2


def answers(loss, correct, codes):
    return {
        "loss_sae": loss, "correct_sae": correct, "loss_codes": codes, "correct_codes": [1.0, 2.0],
    }  # fmt: skip


CHANGES = (
    "probe_loss_change", "probe_accuracy_change", "probe_loss_change_codes",
    "probe_accuracy_change_codes",
)  # fmt: skip


def changed(loss_before, loss_after):
    runs = pair(
        "probes", answers(loss_before, [4.0, 12.0], [5.0, 9.0]),
        answers(loss_after, [6.0, 14.0], [5.0, 9.0]),
    )  # fmt: skip
    return paired_table(runs, metrics=CHANGES, **OPTIONS)


def test_several_changes_stand_in_one_table_each_of_means_over_tokens():
    table = changed([20.0, 60.0], [15.0, 45.0])
    # 80 nats in 40 tokens become 60, 16 right answers 20, and the latents stay as they were.
    np.testing.assert_allclose(table["probe_loss_change"], -0.5)
    np.testing.assert_allclose(table["probe_accuracy_change"], 0.1)
    for name in ("probe_loss_change_codes", "probe_accuracy_change_codes"):
        for end in ("", "_low", "_high"):
            assert (table[f"{name}{end}"] == 0).all()
    assert not table.columns.duplicated().any()


def test_a_change_that_is_the_same_in_every_document_has_no_width():
    """Each token gained half a nat, though documents are unlike: the interval is of pairs."""
    table = changed([20.0, 90.0], [15.0, 75.0])
    for end in ("", "_low", "_high"):
        np.testing.assert_allclose(table[f"probe_loss_change{end}"], -0.5)
    column = {"loss": np.array([20.0, 90.0]), "tokens": TOKENS}
    alone = form(ratio("loss", "tokens"), *totals_and_draws(column, 200, 0))
    assert alone.high - alone.low > 0.5


def test_different_documents_cannot_be_compared():
    parent, tuned = pair("reconstruction", {"squared_error": [4.0, 6.0]}, {"squared_error": 1.0})
    table = parent.documents("reconstruction")
    for other in (table.assign(document=[0, 2]), table.assign(tokens=[11.0, 29.0])):
        with pytest.raises(DataError, match="different documents"):
            paired_table(
                [replaced(parent, "reconstruction", other), tuned],
                metrics=["mse_reduction"], **OPTIONS,
            )  # fmt: skip


def test_a_tuned_sae_without_its_parent_is_an_error():
    runs = pair("reconstruction", {"squared_error": 1.0}, {"squared_error": 1.0})[1:]
    with pytest.raises(DataError, match="was not measured"):
        paired_table(runs, metrics=["mse_reduction"], **OPTIONS)


def test_without_any_runs_a_table_has_all_its_columns():
    for build in (metrics_table, paired_table):
        table = build((), metrics=["mse_reduction"], **OPTIONS)
        assert table.empty and {"mse_reduction_high", "method"} <= set(table)
    assert {"fvu", "tokens", "method"} <= set(training_logs((), quantities=["fvu"]))


def test_training_logs_hold_every_log_of_an_original():
    runs = made_up_study.runs(n_blocks=2)
    table = training_logs(runs, quantities=["fvu", "l0", "of no log"])
    originals = [run for run in runs if run.key.method == ORIGINAL]
    assert len(table) == 50 * len(originals) and table["of no log"].isna().all()
    first = table[(table["hook"] == originals[0].key.hook) & (table["sae"] == originals[0].key.sae)]
    np.testing.assert_array_equal(first["fvu"], originals[0].log()["fvu"])
