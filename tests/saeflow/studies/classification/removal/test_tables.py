import numpy as np
import pytest

import made_up_edits as made
from saeflow.studies.classification.removal.tables import removal, steering
from saeflow.tables.runs import Record, Run

COSTS = ["edit_delta_ce", "edit_end_score"]
ALL = [*COSTS, "edit_logit_difference"]
HOOKS = ["resid_post.0", "resid_post.1"]


def by_pairs(labels, scores):
    """Compare each positive example with each negative one."""
    pairs = [
        (p > n) + 0.5 * (p == n)
        for p in scores[labels == 1].tolist()
        for n in scores[labels == 0].tolist()
    ]
    return np.mean(pairs)


@pytest.fixture(scope="module")
def runs():
    return made.runs(HOOKS, ["topk-8", "relu"], tasks=["film.tone"], others=["film.length"])


@pytest.fixture(scope="module")
def table(runs):
    return removal(runs, metrics=COSTS, bootstrap=200, seed=0)


def test_a_row_per_sae_way_size_and_concept_that_is_looked_for(table):
    assert len(table) == 4 * (3 + 2 * len(made.SIZES)) * 2
    keys = ["hook", "sae", "way", "n_features", "of"]
    assert not table.duplicated(keys).any()
    assert set(table["labelled"]) == {"reviews"} and set(table["task"]) == {"film.tone"}


def test_numbers_are_those_of_the_scores_and_sums(runs, table):
    for run in runs:
        edits, read, texts = (
            run.records["erasure"].table(f"{name}.parquet")
            for name in ("edits", "readings", "texts")
        )
        clean = texts[texts["edit"] == 0]
        for edit in edits[edits["kind"] == "removal"].itertuples():
            row = table[
                (table["hook"] == run.key.hook) & (table["sae"] == run.key.sae)
                & (table["way"] == edit.way) & (table["n_features"] == edit.n_features)
                & (table["of"] == "film.tone")
            ].iloc[0]  # fmt: skip
            own = read[(read["edit"] == edit.edit) & (read["of"] == "film.tone")]
            was = read[(read["edit"] == 0) & (read["of"] == "film.tone")]
            labels = own["label"].to_numpy()
            assert row["auc"] == pytest.approx(by_pairs(labels, own["fresh"].to_numpy()))
            assert row["old_auc"] == pytest.approx(by_pairs(labels, own["old"].to_numpy()))
            assert row["clean_auc"] == pytest.approx(by_pairs(labels, was["old"].to_numpy()))
            assert row["auc_lost"] == pytest.approx(row["clean_auc"] - row["auc"])
            after = texts[texts["edit"] == edit.edit]
            added = (after["ce"].sum() - clean["ce"].sum()) / (made.N_TEXTS * made.TOKENS)
            assert row["edit_delta_ce"] == pytest.approx(added)
            moved = (after["end_score"].sum() - clean["end_score"].sum()) / made.N_TEXTS
            assert row["edit_end_score"] == pytest.approx(moved)
            assert row["n_test"] == made.N_TEST and row["n_texts"] == made.N_TEXTS
            assert row["n_text_tokens"] == made.N_TEXTS * made.TOKENS


def test_intervals_hold_the_values_and_differences_are_paired(table):
    for name in ("auc", "old_auc", "clean_auc", "auc_lost", *COSTS):
        assert (table[f"{name}_low"] <= table[name] + 1e-12).all()
        assert (table[f"{name}_high"] >= table[name] - 1e-12).all()
    # a random direction moves scores hardly at all: what is lost is known better than either
    row = table[(table["way"] == "random_direction") & (table["of"] == "film.tone")].iloc[0]
    width = {n: row[f"{n}_high"] - row[f"{n}_low"] for n in ("auc", "auc_lost")}
    assert 0 < width["auc_lost"] < width["auc"] / 2


def test_what_needs_no_sae_is_the_same_beside_each(table):
    dense = table[table["n_features"] == 0]
    for _, rows in dense.groupby(["hook", "way", "of"]):
        assert len(rows) == 2
        values = rows.drop(columns=["sae"])
        assert values.iloc[0].equals(values.iloc[1])


def test_steering_has_the_effects_by_strength(runs):
    table = steering(runs, metrics=ALL, bootstrap=0, seed=0)
    assert len(table) == 4 * 3 * len(made.STRENGTHS)
    up = table[(table["way"] == "mean_difference") & (table["strength"] == 2.0)]
    np.testing.assert_allclose(up["edit_logit_difference"], 1.0)
    np.testing.assert_allclose(up["edit_end_score"], 2.0, atol=0.2)
    np.testing.assert_allclose(up["edit_delta_ce"], 0.08, atol=0.02)
    assert up["edit_delta_ce_low"].isna().all() and set(up["distance"]) == {1.5}


def test_without_words_there_is_no_logit_difference():
    runs = made.runs(HOOKS[:1], ["relu"], words=False)
    table = steering(runs, metrics=ALL, bootstrap=50, seed=0)
    assert table["edit_logit_difference"].isna().all()
    assert table["edit_end_score"].notna().all() and table["edit_delta_ce_low"].notna().all()


def test_a_concept_is_held_against_its_own_clean_reader():
    runs = made.runs(HOOKS[:1], ["relu"], tasks=["a", "b"], others=[])
    edits = runs[0].records["erasure"].table("edits.parquet")
    assert (edits["kind"] == "none").sum() == 2
    readings = runs[0].records["erasure"].table("readings.parquet").copy()
    second = edits.loc[(edits["kind"] == "none") & (edits["task"] == "b"), "edit"].item()
    worse = (readings["edit"] == second) & (readings["of"] == "b")
    readings.loc[worse, "old"] = 0.0
    record = runs[0].records["erasure"]
    changed = Record(
        record.facts, lambda n: readings if n == "readings.parquet" else record.read(n)
    )
    table = removal([Run(runs[0].key, {"erasure": changed})], metrics=COSTS, bootstrap=0, seed=0)
    own = table[table["of"] == table["task"]].set_index("task")["clean_auc"]
    assert set(own.loc["b"]) == {0.5} and (own.loc["a"] > 0.8).all()


def test_no_runs_give_empty_tables():
    for build in (removal, steering):
        table = build([], metrics=ALL, bootstrap=0, seed=0)
        assert table.empty and {"task", "way", "edit_delta_ce_low"} <= set(table.columns)
