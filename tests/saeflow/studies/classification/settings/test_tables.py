"""Tables of choices, tasks, curves and controls, of probes whose AUC is chosen."""

from __future__ import annotations

import numpy as np
import pytest

import made_up_probes
from made_up_probes import row
from saeflow.studies.classification.settings.along import curves
from saeflow.studies.classification.settings.compared import ALL
from saeflow.studies.classification.settings.tables import choices, control, tasks
from saeflow.tables.runs import Record, Run

STATES = [
    {"task": "a", "auc": 0.8, "validation_auc": 0.7},
    {"task": "a", "auc": 0.9, "validation_auc": 0.6, "method": "mlp"},
    {"task": "b", "auc": 0.6, "validation_auc": 0.9},
]
BETTER = [
    {"task": "a", "auc": 0.85, "validation_auc": 0.75},
    {"task": "b", "auc": 0.95, "validation_auc": 0.85},
]
WORSE = [
    {"task": "a", "auc": 0.5, "validation_auc": 0.5},
    {"task": "b", "auc": 0.5, "validation_auc": 0.95},
]


def test_adding_probes_changes_what_is_chosen_and_what_that_gives(one_hook):
    table = choices(one_hook(STATES, better=BETTER, worse=WORSE))
    found = row(table, sae="better")
    # of states: logistic in both, 0.8 and 0.6; added: in a the codes validate better, in b not
    assert found["auc_baselines"] == pytest.approx(0.7)
    assert found["auc_added"] == pytest.approx((0.85 + 0.6) / 2)
    assert found["gain"] == pytest.approx(0.025)
    assert (found["picked"], found["better"], found["worse"]) == (0.5, 0.5, 0)
    found = row(table, sae="worse")
    assert found["gain"] == pytest.approx((0 + 0.5 - 0.6) / 2)
    assert (found["picked"], found["better"], found["worse"]) == (0.5, 0, 0.5)
    together = row(table, sae=ALL)
    assert together["auc_added"] == pytest.approx((0.85 + 0.5) / 2)
    assert together["picked"] == 1
    assert together["n_tasks"] == 2 and together["resampled"] == "texts"


def test_controls_are_no_part_of_all_saes(one_hook):
    table = choices(one_hook(STATES, better=BETTER, random=WORSE))
    assert list(table["sae"]) == ["better", "random"]
    assert list(table["baseline"]) == ["", "random"]


def test_without_a_task_in_common_nothing_is_compared(one_hook):
    runs = one_hook(STATES, better=[{"task": "z", "auc": 0.5}])
    assert all(build(runs).empty for build in (choices, tasks, curves))


def test_only_tasks_that_both_have_are_compared(one_hook):
    found = row(choices(one_hook(STATES, better=BETTER[:1])), sae="better")
    assert found["n_tasks"] == 1
    assert found["auc_baselines"] == pytest.approx(0.8)


def test_permuted_test_labels_change_no_choice():
    runs = made_up_probes.runs(["resid_post.0"], ["topk-8", "relu"], n_tasks=6)
    rng = np.random.default_rng(1)
    permuted = [
        Run(run.key, {kind: _permuted(one, rng) for kind, one in run.records.items()})
        for run in runs
    ]
    one, two = choices(runs), choices(permuted)
    assert one["picked"].tolist() == two["picked"].tolist()
    chosen = ["sae", "task", "setting", "method_baselines", "method_sparse", "picked"]
    one, two = tasks(runs), tasks(permuted)
    assert one[chosen].equals(two[chosen])
    assert not np.allclose(one["auc_baselines"], two["auc_baselines"])


def _permuted(record: Record, rng: np.random.Generator) -> Record:
    if "tasks" not in record.facts:
        return record

    def table(name):
        found = record.table(name)
        if name == "scores.parquet":
            found = found.assign(label=rng.permutation(found["label"]))
        return found

    return Record(record.facts, table)


def test_tasks_are_told_one_by_one_with_intervals(one_hook):
    table = tasks(one_hook(STATES, better=BETTER), bootstrap=200, seed=0)
    found = row(table, task="a")
    numbers = {"auc_baselines": 0.8, "auc_sparse": 0.85, "auc_added": 0.85, "gain": 0.05}
    assert {name: found[name] for name in numbers} == pytest.approx(numbers)
    assert found["auc_baselines_low"] < 0.8 < found["auc_baselines_high"]
    assert (found["method_baselines"], found["method_sparse"]) == ("logistic", "k = 16")
    assert found["picked"] == 1 and found["n_test"] == made_up_probes.N_TEST
    # the same probe is chosen with and without: no difference on any texts
    found = row(table, task="b")
    assert (found["gain"], found["gain_low"], found["gain_high"]) == (0, 0, 0)


def test_under_a_shift_the_same_probes_stand_for_the_tasks_own_texts(one_hook):
    # the mlp is best on its own texts, and was not tried under the shift
    states = [*STATES[:2], {**STATES[0], "setting": "shift", "auc": 0.6}]
    states[1] = {**states[1], "validation_auc": 0.99}
    codes = [BETTER[0], {**BETTER[0], "setting": "shift", "auc": 0.7}]
    found = row(tasks(one_hook(states, better=codes)), setting="shift")
    assert found["auc_baselines"] == pytest.approx(0.6)
    assert found["own_baselines"] == pytest.approx(0.8)
    assert found["own_sparse"] == pytest.approx(0.85)


def test_permuted_labels_are_told_by_kind_of_probe(one_hook):
    states = [{"auc": auc, "setting": "shuffled", "seed": s} for s, auc in enumerate((0.4, 0.7))]
    codes = [{"auc": 0.5, "setting": "shuffled"}, {"auc": 0.9}]
    states.append({"auc": 0.9})
    runs = one_hook(states, one=codes)
    table = control(runs, bootstrap=100, seed=0)
    assert table["probe"].tolist() == ["logistic", "k = 16"]
    assert table["auc"].tolist() == pytest.approx([0.55, 0.5])
    # of two permutations both, or one of them twice; one alone cannot vary
    assert table.loc[0, ["auc_low", "auc_high"]].tolist() == pytest.approx([0.4, 0.7])
    assert table.loc[1, ["auc_low", "auc_high"]].isna().all()
    assert table["n_fits"].tolist() == [2, 1]
    # the mean of both kinds, seeds and kinds counting alike
    assert choices(runs)["shuffled"].tolist() == pytest.approx([(0.4 + 0.7 + 0.5) / 3])


def test_a_control_is_of_all_tasks_whatever_was_chosen_for_each(one_hook):
    fits = [
        {"task": task, "auc": auc, "setting": "shuffled", "method": "pca", "k": k}
        for task, auc, k in (("a", 0.4, 3), ("b", 0.5, 8))
    ]
    table = control(one_hook(fits))
    assert table[["probe", "n_tasks"]].to_numpy().tolist() == [["pca", 2]]
    assert table["auc"].tolist() == pytest.approx([0.45])


def test_poolings_are_compared_by_themselves(one_hook):
    states = [{"auc": 0.8, "pooling": how} for how in ("last", "mean")]
    codes = [{"auc": 0.9, "pooling": "mean", "validation_auc": 1}]
    table = choices(one_hook(states, one=codes))
    assert table[["pooling", "gain"]].to_numpy().tolist() == [["mean", pytest.approx(0.1)]]


def test_without_probes_there_are_no_rows_but_columns():
    for build in (choices, tasks, curves, control):
        table = build(())
        assert table.empty and {"labelled", "sae"} <= set(table)
