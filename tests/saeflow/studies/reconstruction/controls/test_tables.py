"""SAEs as smaller models, by hand; and beside those on shuffled models."""

import math

import numpy as np
import pandas as pd
import pytest

import made_up_study
from made_up_study import record
from saeflow.studies.reconstruction import STUDY
from saeflow.studies.reconstruction.controls.figures import beside_real
from saeflow.studies.reconstruction.controls.tables import on_shuffled, size_of, smaller_models
from saeflow.tables.runs import Key, Run

# Halving the loss takes 100 times the parameters below a million, 10,000 times above.
SCALING = [
    {"parameters": 1e4, "loss": 8.0},
    {"parameters": 1e6, "loss": 4.0},
    {"parameters": 1e10, "loss": 2.0},
]


def run(ce_clean, ce_sae, hook="resid_post.0"):
    """Return an SAE on documents of one prediction each, with these losses."""
    documents = pd.DataFrame(
        {
            "document": np.arange(len(ce_clean)),
            "predictions": 1.0,
            "ce_clean": np.asarray(ce_clean, float),
            "ce_sae": np.asarray(ce_sae, float),
        }
    )
    key = Key("m", "d", "p", hook, "topk-8", 0, "original", "d", "p")
    return Run(key, {"language": record(documents=documents)})


def table(*runs, **options):
    return smaller_models(runs, scaling=SCALING, **options)


def test_sizes_follow_a_power_law_between_two_models():
    size = size_of(SCALING)
    np.testing.assert_allclose(size(np.array([8.0, 4.0, 2.0])), [1e4, 1e6, 1e10])
    # half-way in the logarithm of the loss is half-way in that of the size
    np.testing.assert_allclose(size(np.array([32.0, 8.0]) ** 0.5), [1e5, 1e8])
    assert np.isnan(size(np.array([8.1, 1.9]))).all()


def test_a_loss_is_said_as_the_size_of_the_model_that_has_it():
    (row,) = table(run([2.0, 2.0], [math.sqrt(8), math.sqrt(8)])).to_dict("records")
    assert row["clean_parameters"] == pytest.approx(1e10)
    assert row["equivalent_parameters"] == pytest.approx(1e8)
    assert row["equivalent_share"] == pytest.approx(0.01)
    assert (row["ce_loss"], row["beyond"]) == (2.0, "")
    assert row["ce_loss_sae"] == pytest.approx(math.sqrt(8))


def test_beyond_the_table_there_is_a_bound_and_no_size():
    losses = table(run([3.0], [9.0]), run([1.5], [3.0]), run([3.0], [8.0]))
    worse, better, edge = losses.to_dict("records")
    assert math.isnan(worse["equivalent_parameters"]) and worse["clean_parameters"] > 1e6
    assert worse["beyond"] == "the model with the SAE does worse than 10,000 parameters"
    assert better["beyond"] == "the model does better than 10,000,000,000 parameters"
    assert math.isnan(better["equivalent_share"]) and better["equivalent_parameters"] > 1e6
    assert (edge["equivalent_parameters"], edge["beyond"]) == (pytest.approx(1e4), "")


def test_intervals_are_those_of_the_losses_read_off_the_table():
    rng = np.random.default_rng(0)
    clean = 2.5 + 0.2 * rng.random(50)
    row = table(run(clean, clean + 0.5), bootstrap=300, seed=0).iloc[0]
    size = size_of(SCALING)
    assert row["equivalent_parameters_low"] == pytest.approx(
        size(row["ce_loss_sae_high"]), rel=0.01
    )
    assert row["equivalent_parameters_high"] == pytest.approx(
        size(row["ce_loss_sae_low"]), rel=0.01
    )
    assert row["equivalent_share_low"] < row["equivalent_share"] < row["equivalent_share_high"]
    # the share is of one text: less doubtful than the sizes
    spread = {
        name: row[f"{name}_high"] / row[f"{name}_low"]
        for name in ("equivalent_share", "equivalent_parameters")
    }
    assert spread["equivalent_share"] < spread["equivalent_parameters"]
    # an interval that reaches beyond the table has no ends
    wide = table(run([2.0, 3.0] * 20, [3.9, 12.0] * 20), bootstrap=300, seed=0).iloc[0]
    assert wide["equivalent_parameters"] > 0 and pd.isna(wide["equivalent_parameters_low"])


def made_up(models=("world-s", "noise")):
    runs = made_up_study.runs(models=models)
    entry = STUDY.tables["shuffled_model"]
    return on_shuffled(runs, metrics=entry.metrics, shuffled={"noise": "world-s"})


def test_saes_of_a_shuffled_model_stand_under_the_real_one():
    found = made_up()
    assert set(zip(found["model"], found["weights"], found["of_model"], strict=True)) == {
        ("world-s", "trained", "world-s"),
        ("noise", "noise", "world-s"),
    }
    assert set(beside_real(found)["model"]) == {"world-s"}
    assert {"l0", "fvu", "dead"} <= set(found)


def test_figures_of_both_can_be_drawn():
    drawing = made_up_study.drawing(STUDY, "shuffled_by_layer", made_up())
    names = {text.get_text() for text in drawing.figure.legends[0].texts}
    assert {"trained", "noise"} <= names
    n_saes = drawing.rows[["model", "hook", "sae", "seed", "method"]].drop_duplicates()
    assert len(n_saes) == 2 * 4 * 4
    rng = np.random.default_rng(0)
    runs = [
        run(clean := 2.5 + 0.2 * rng.random(50), clean + 0.1 * (1 + block), f"resid_post.{block}")
        for block in range(4)
    ]
    sizes = table(*runs, bootstrap=100, seed=0)
    drawing = made_up_study.drawing(STUDY, "smaller_models_by_layer", sizes)
    assert drawing.figure.axes[0].get_ylabel().startswith("Equivalent size")
