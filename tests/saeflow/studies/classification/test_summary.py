import numpy as np
import pandas as pd

from saeflow.studies.classification.summary import summary

PLACE = {"labelled": "reviews", "model": "m", "seed": 0, "method": "original", "pooling": "last"}
NONE = float("nan")


def probe(given, accuracy, sae="", probe="published", k=0, gap=(NONE, NONE), auc=0.9, **other):
    return {
        **PLACE, "hook": "resid_post.1", "sae": sae, "baseline": NONE, "setting": "normal",
        "probe": probe, "input": given, "k": k, "n_tasks": 3, "accuracy": accuracy,
        "accuracy_gap_low": gap[0], "accuracy_gap_high": gap[1], "auc": auc,
        "auc_low": auc - 0.01, "auc_high": auc + 0.01, **other,
    }  # fmt: skip


def test_codes_are_held_against_states_of_the_same_texts():
    rows = [
        probe("states", 0.9),
        probe("codes", 0.8, "topk-8", gap=(-0.2, -0.05)),
        probe("codes", 0.88, "topk-32", gap=(-0.1, 0.05)),
        probe("codes", 0.1, "pca-8", gap=(-0.9, -0.7), baseline="pca"),
        probe("codes", 0.7, "topk-8", "k_sparse", 1, auc=0.75),
        probe("codes", 0.7, "topk-32", "k_sparse", 1, auc=0.65),
        probe("codes", 0.5, "topk-8", setting="shuffled", gap=(-0.5, -0.3)),
    ]
    said = summary({"probes": pd.DataFrame(rows)})
    assert "on 90.0% of the test texts by states and on 80.0% to 88.0% by codes" in said
    assert "below zero for 1 of 2 SAEs" in said
    assert "One feature alone gets an AUC of 0.750 [0.740, 0.760] (topk-8 at resid_post.1)" in said


def test_the_tasks_that_codes_do_worst_and_best_are_named():
    row = {**PLACE, "setting": "normal", "baseline": NONE}
    table = pd.DataFrame(
        [
            {**row, "task": "a", "auc_sparse": 0.6, "auc_baselines": 0.9},
            {**row, "task": "a", "auc_sparse": 0.8, "auc_baselines": 0.9},
            {**row, "task": "b", "auc_sparse": 0.95, "auc_baselines": 0.9},
            {**row, "task": "b", "auc_sparse": 0.1, "auc_baselines": 0.9, "setting": "shift"},
        ]
    )
    said = summary({"probe_tasks": table})
    assert "furthest back on a (0.700 against 0.900) and least on b (0.950 against 0.900)" in said


def test_gains_count_where_their_interval_is_on_one_side():
    gains = [(0.02, 0.01, 0.03), (-0.01, -0.02, 0.0), (-0.02, -0.03, -0.01)]
    table = pd.DataFrame(
        [{**PLACE, "setting": "normal", "baseline": NONE, "gain": g, "gain_low": low,
          "gain_high": high} for g, low, high in gains]
    )  # fmt: skip
    assert "by -0.0200 to +0.0200; its interval is above zero in 1 and below in 1 of 3" in summary(
        {"probe_choices": table}
    )


def test_permuted_labels_are_chance():
    auc = np.array([0.5, 0.48, 0.6])
    table = pd.DataFrame({"auc": auc, "auc_low": auc - 0.05, "auc_high": auc + 0.05})
    said = summary({"probe_control": table})
    assert "mean AUC of 0.527" in said and "67% of 3 cases" in said


def test_nothing_is_said_of_what_is_not_there():
    assert summary({}) == ""
