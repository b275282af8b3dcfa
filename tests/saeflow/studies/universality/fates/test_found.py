"""Which features other SAEs find, of made-up pairs."""

import numpy as np
import pandas as pd
import pytest

from made_up_fates import changed, own_saes
from made_up_pairs import study
from saeflow.metrics.facts import COLUMNS, COUNTS, FACTS
from saeflow.metrics.intervals import mean_of
from saeflow.studies.universality.fates.features import told_by
from saeflow.studies.universality.fates.found import found, found_by, found_ranked
from saeflow.tables.runs import Record, Run

COMPARISONS = {
    "seeds": {"vary": ["seed"], "seeds": [0, 1, 2]},
    "widths": {"vary": ["sae"], "saes": ["topk-x1", "topk-x4", "topk-x8"]},
    "layers": {"vary": ["hook"], "hooks": ["mlp_out.1", "mlp_out.2"]},
}


@pytest.fixture
def made():
    return study(COMPARISONS, saes=("topk-x4",))


def given(made):
    return {**made.given, "own": own_saes(made)}


def test_shares_of_saes_are_counted_at_the_same_hook_and_nulls_are_none(made):
    table = found(made.runs, **given(made))
    # 60 live features, of which 30 are common, 6 of these with the narrow SAE too; 2 seeds and 2
    # widths
    assert len(table) == 60 and (table["n_all"] == 4).all() and (table["n_retrained"] == 2).all()
    for quantity in ("cosine", "correlation"):
        shares = table[f"{quantity}_all"].tolist()
        assert shares == [1.0] * 6 + [0.75] * 24 + [0.0] * 30
        assert table[f"{quantity}_retrained"].tolist() == [1.0] * 30 + [0.0] * 30


def test_features_are_described(made):
    table = found(made.runs, **given(made))
    active = table["active"].to_numpy(float)
    np.testing.assert_allclose(table["frequency"], active / 10_000)
    np.testing.assert_allclose(table["strength"], 2.0)
    np.testing.assert_allclose(table["carried"], active / active.sum())
    assert table["effect"].isna().all() and (table["fact"] == "").all()


def test_effects_and_facts_are_there_if_they_were_measured(made):
    facts = pd.DataFrame({"fact": ["a noun", "a verb", "a stop"], "latent": [0, 0, 1], "n": 9})
    counts = pd.DataFrame(0.0, index=range(6), columns=["fact", *COLUMNS])
    counts["fact"] = np.repeat(facts["fact"], 2).to_numpy()
    # documents of each fact one after the other; F1 of 2 8 / (8 + 10), 2 9 / (9 + 10), 2 / 6
    counts["best_hits"] = [4, 4, 5, 4, 1, 0]
    counts["best_fired"] = [4, 4, 5, 4, 2, 1]
    counts["positive"] = [5, 5, 5, 5, 2, 1]
    latents = pd.DataFrame({"latent": np.arange(64), "absolute": np.arange(64.0)})
    more = {
        "facts": Record({"n_tokens": 90}, {FACTS: facts, COUNTS: counts}.__getitem__),
        "effects": Record({}, {"latents.parquet": latents}.__getitem__),
    }
    runs = [run if run.key.other else Run(run.key, {**run.records, **more}) for run in made.runs]
    table = found(runs, **given(made)).set_index("latent")
    assert table["fact"][0] == "a verb" and (table["fact"].drop(0) == "").all()
    live = table.index.to_numpy()
    np.testing.assert_allclose(table["effect"], live / live.sum())
    assert "effect" in set(found_by(runs, **given(made))["property"])


def test_no_fact_is_told_where_there_is_none():
    facts = pd.DataFrame(columns=["fact", "latent", "n"])
    counts = pd.DataFrame(columns=["fact", *COLUMNS])
    record = Record({"n_tokens": 90}, {FACTS: facts, COUNTS: counts}.__getitem__)
    assert told_by(Run(None, {"facts": record})) == {}


def test_tenths_are_of_equal_number_the_least_first(made):
    table = found_by(made.runs, **given(made), bootstrap=20, seed=0)
    assert set(table["property"]) == {"frequency", "strength", "carried"}
    own = table[(table["property"] == "frequency") & (table["quantity"] == "cosine")]
    every = own[own["among"] == "all"]
    assert every["tenth"].tolist() == list(range(1, 11)) and (every["n_features"] == 6).all()
    assert every["share"].tolist() == pytest.approx([0] * 5 + [0.75] * 4 + [1.0])
    assert (every["highest"].to_numpy()[:-1] <= every["lowest"].to_numpy()[1:]).all()
    assert every["share_low"].notna().all()


def test_few_features_have_few_parts():
    made = study({"seeds": {"vary": ["seed"], "seeds": [0, 1]}}, saes=("topk-x1",))
    table = found_by(made.runs, **given(made))
    assert (table["n_tenths"] == 2).all() and (table["n_features"] == 6).all()
    assert set(table["among"]) == {"all"}  # all others are of the same recipe


def test_what_is_found_by_so_many_is_weighed(made):
    table = found_ranked(made.runs, **given(made))
    own = table[(table["quantity"] == "cosine") & (table["among"] == "all")]
    assert own["at_least"].tolist() == [0, 1, 2, 3, 4]
    assert own["features"].tolist() == [1.0, 0.5, 0.5, 0.5, 0.1]
    carried = found(made.runs, **given(made))["carried"].to_numpy()
    expected = [1.0, *[carried[:30].sum()] * 3, carried[:6].sum()]
    assert own["carried"].tolist() == pytest.approx(expected)
    # what is common is what is frequent, and carries most
    assert own["most"].tolist() == pytest.approx(expected)
    assert own["effect"].isna().all()


def test_no_choice_of_as_many_carries_more():
    made = study({"seeds": {"vary": ["seed"], "seeds": [0, 1]}})

    def rare_ones(own, other, table, others):  # noqa: ARG001
        table["cosine"] = np.where(np.arange(len(table)) < 30, 0.1, 0.9)

    table = found_ranked(changed(made, rare_ones).runs, **given(made))
    own = table[(table["quantity"] == "cosine") & (table["at_least"] == 1)].iloc[0]
    assert own["features"] == 0.5 and own["carried"] < 0.5 < own["most"]


def test_an_sae_without_others_is_left_out():
    made = study({"layers": COMPARISONS["layers"]})
    assert found(made.runs, **given(made)).empty
    assert found_by(made.runs, **given(made)).empty
    assert found_ranked(made.runs, **given(made)).empty


def test_a_mean_has_an_interval_if_there_are_draws():
    values = np.array([0.0, 1.0, 1.0, 1.0])
    value, low, high = mean_of(values, 200, 0)
    assert value == 0.75 and 0.0 <= low < 0.75 < high == 1.0
    assert mean_of(values, 0, 0) == (0.75, None, None)
