"""Tables of the post: means over tasks, what they are held against, what SAEs give back."""

import numpy as np
import pandas as pd
import pytest

import made_up_codes as made
import made_up_probes
from made_up_probes import only
from saeflow.metrics.registry import metrics_of
from saeflow.studies.classification.post.tables import in_domain, probed, probes
from saeflow.tables.runs import Key, Record, Run

HOOKS = ("resid_post.0", "resid_post.1")
ON = {"eval_dataset": "texts", "eval_packing": "labelled"}
ERRORS = metrics_of("sparse_probes")


@pytest.fixture(scope="module")
def runs():
    return made.runs(HOOKS, ("topk-8", "topk-32"), n_seeds=2, n_tasks=2)


@pytest.fixture(scope="module")
def table(runs):
    return probes(runs, bootstrap=100, seed=0)


def two_tasks(**aucs):
    """Return the runs of a hook and an SAE on tasks a and b, with these AUCs by input."""

    def record(inputs):
        fits = [
            {"task": task, "method": "published", "input": given, "auc": auc}
            for given in inputs
            for task, auc in zip("ab", aucs[given], strict=True)
        ]  # fmt: skip
        return made_up_probes.record(fits)

    dense, sparse = record(["states"]), record(["codes"])
    texts = {
        "examples.parquet": pd.DataFrame({"split": ["train", "test", "test"],
                                          "active": [9.0, 3.0, 4.0]}),
        "features.parquet": pd.DataFrame(),
    }  # fmt: skip
    own = Record(sparse.facts, lambda name: texts[name] if name in texts else sparse.read(name))
    sae = made_up_probes.sae_record("s")
    return (
        Run(Key("m", hook="resid_post.0", **ON), {"dense_probes": dense}),
        Run(Key("m", "d", "p", "resid_post.0", "s", **ON), {"sparse_probes": own, "sae": sae}),
    )


def test_a_row_is_a_mean_over_tasks_and_is_held_against_the_states():
    found = probes(two_tasks(states=(0.9, 0.7), codes=(0.75, 0.65)))
    states, codes = (only(found, input=given).iloc[0] for given in ("states", "codes"))
    assert states["auc"] == pytest.approx(0.8) and codes["auc"] == pytest.approx(0.7)
    assert codes["auc_gap"] == pytest.approx(-0.1) and np.isnan(states["auc_gap"])
    assert (codes["n_tasks"], codes["d_sae"], codes["architecture"]) == (2, 128, "topk")
    assert codes["l0"] == 3.5  # of test texts
    assert states["sae"] == "" and codes["sae"] == "s"


def test_what_has_no_number_of_inputs_of_its_own_is_one_row_and_k_sparse_one_per_k(table):
    own = only(table, sae="topk-8", hook=HOOKS[0], seed=0)
    ks = only(own, probe="k_sparse")["k"].tolist()
    assert ks == [1, 2, 4, 8, 16, 32]
    for probe in ("logistic", "pca_active", "pca_on", "random_active"):
        assert len(only(own, probe=probe)) == 1
    assert sorted(only(own, probe="published", setting="normal")["input"]) == [
        "codes", "decoded", "residual",
    ]  # fmt: skip


def test_gaps_are_from_the_same_probe_of_states_and_of_k_sparse_ones_from_logistic(table):
    states = only(table, sae="", hook=HOOKS[0], input="states", setting="normal")
    own = only(table, sae="topk-8", hook=HOOKS[0], seed=0, setting="normal")
    for probe, given, like in (
        ("published", "codes", "published"), ("published", "decoded", "published"),
        ("logistic", "codes", "logistic"), ("pca_active", "states", "published"),
    ):  # fmt: skip
        row = only(own, probe=probe, input=given).iloc[0]
        expected = row["auc"] - only(states, probe=like)["auc"].iloc[0]
        assert row["auc_gap"] == pytest.approx(expected), probe
        assert row["auc_gap_low"] <= row["auc_gap"] <= row["auc_gap_high"]
    at_k = only(own, probe="k_sparse", k=4).iloc[0]
    expected = at_k["auc"] - only(states, probe="logistic")["auc"].iloc[0]
    assert at_k["auc_gap"] == pytest.approx(expected)


def test_shuffled_labels_are_rows_of_their_own(table):
    shuffled = only(table, setting="shuffled")
    assert set(shuffled["input"]) == {"states", "codes"}
    assert shuffled["auc"].between(0.4, 0.6).all()


def test_the_best_probe_of_states_is_one_of_the_baselines(table):
    own = only(table, hook=HOOKS[0], sae="", setting="normal", input="states")
    best = only(own, probe="best").iloc[0]
    assert len(only(own, probe="best")) == 1
    assert best["auc"] <= own["auc"].max() + 1e-9
    assert best["n_tasks"] == 2


def test_what_saes_give_back_is_formed_of_sums_over_the_texts_of_a_split(runs):
    found = probed(runs, metrics=ERRORS, bootstrap=50, seed=0)
    run = next(run for run in runs if run.key.sae == "topk-8")
    examples = run.records["sparse_probes"].table("examples.parquet")
    train = examples[examples["split"] == "train"]
    row = only(found, sae="topk-8", hook=run.key.hook, seed=run.key.seed, split="train").iloc[0]
    assert row["n_documents"] == made.N_TRAIN
    assert row["probed_mse"] == pytest.approx(train["squared_error"].mean() / made.D_IN)
    assert row["probed_l0"] == pytest.approx(train["active"].mean())
    share = 1 - train["squared_error_centred"].sum() / train["squared_error"].sum()
    assert row["probed_centring"] == pytest.approx(share)
    assert row["probed_mse_low"] < row["probed_mse"] < row["probed_mse_high"]
    assert row["features_on"] == 48 and row["share_on"] == 48 / 512
    assert len(found) == 2 * sum(bool(run.key.sae) for run in runs)


def test_a_transcoder_has_no_error(runs):
    run = next(run for run in runs if run.key.sae)
    record = run.records["sparse_probes"]
    examples = record.table("examples.parquet")[["example", "dataset", "split", "active"]]
    own = Record(
        record.facts,
        lambda name: examples if name == "examples.parquet" else record.read(name),
    )
    found = probed([Run(run.key, {**run.records, "sparse_probes": own})], metrics=ERRORS)
    assert found["probed_l0"].notna().all() and found["probed_mse"].isna().all()


def test_saes_of_the_domain_stand_beside_those_of_the_same_recipe_and_seed():
    runs = made.runs(HOOKS[:1], ("topk-8",), n_seeds=2, places=("general", "domain"))
    domain = {"dataset": "domain", "packing": "p"}
    found = in_domain(runs, domain=domain, bootstrap=50, seed=0)
    assert set(found["seed"]) == {0, 1} and set(found["sae"]) == {"topk-8"}
    row = only(found, probe="published", seed=1).iloc[0]
    assert row["auc_gap"] == pytest.approx(row["auc"] - row["auc_elsewhere"])
    assert row["auc_gap"] > 0.01  # what those of the domain lose less
    assert len(only(found, probe="k_sparse", seed=0)) == len(made.KS)


def test_an_sae_of_the_domain_alone_is_held_against_nothing():
    runs = made.runs(HOOKS[:1], ("topk-8",), places=("domain",))
    assert in_domain(runs, domain={"dataset": "domain", "packing": "p"}).empty
