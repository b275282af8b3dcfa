"""The tables about fine-tuning itself, on SAEs of known sums."""

import dataclasses

import numpy as np
import pytest

import made_up_latents
from made_up_latents import documents, family
from made_up_study import record, table
from saeflow.studies.suppression import STUDY


def test_the_closed_form_is_compared_with_the_steps_that_fitted_the_same_weights():
    found = table(STUDY, "closed_form", family())
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["method"], row["steps"], row["fit"], row["ridge"]) == (
        "decoder-exact", "decoder", "decoder", 10.0,
    )  # fmt: skip
    assert row["excess"] == pytest.approx(80 / 75 - 1)
    assert row["excess_low"] == pytest.approx(row["excess_high"])  # the same in all documents
    assert row["row_difference"] == pytest.approx(0.01 / 1.01)


def test_a_frozen_encoder_keeps_every_count():
    original, tuned, _ = family()
    (row,) = table(STUDY, "kept", (original, tuned)).to_dict("records")
    assert row["same_counts"] == row["same_documents"] == 1
    assert row["l0_before"] == row["l0_after"] == pytest.approx(5.0)
    sums = documents(l0=10.0)
    other = record(documents=sums, latents=made_up_latents.latents(1.0, seed=5))
    moved = dataclasses.replace(tuned, records={"reconstruction": other})
    (row,) = table(STUDY, "kept", (original, moved)).to_dict("records")
    assert row["same_counts"] < 0.2 and row["same_documents"] == 0
    assert row["l0_after"] == pytest.approx(10.0)


def test_tuning_curves_are_the_logs_and_the_end_of_the_closed_form():
    found = table(STUDY, "tuning_curves", family())
    steps = found[found["solver"] == "steps"]
    assert steps["tokens"].tolist() == [100, 200] and steps["mse"].tolist() == [2.0, 1.0]
    exact = found[found["solver"] == "exact"]
    assert exact["tokens"].tolist() == [500] and exact["mse"].tolist() == [0.7]
    assert set(found["fit"]) == {"decoder"}


def test_perplexity_recovery_of_a_hand_made_case():
    """Losses 1, 2 and 1.5 nats: (e^2 - e^1.5) / (e^2 - e)."""
    row = table(STUDY, "perplexity_recovery", family()).set_index("method").loc["decoder"]
    e = np.e
    assert row["perplexity_recovery"] == pytest.approx((e**2 - e**1.5) / (e**2 - e))
    # the same in every document: resampling changes nothing
    ends = row["perplexity_recovery_low"], row["perplexity_recovery_high"]
    assert ends == pytest.approx((row["perplexity_recovery"],) * 2)


def test_the_change_of_the_loss_is_after_minus_before_in_pairs():
    """2 nats before, 1.5 after; documents differ, their differences do not."""
    found = table(STUDY, "language_change", family()).set_index("method")
    for name in ("language_change", "language_change_low", "language_change_high"):
        assert found[name].to_dict() == pytest.approx({"decoder": -0.5, "decoder-exact": -0.6})


@pytest.mark.parametrize(
    "name", ["correlations", "frequencies", "kept", "tuning_curves", "shift", "closed_form"]
)
def test_without_any_runs_a_table_has_its_columns(name):
    found = table(STUDY, name, ())
    assert found.empty and "method" in found
