"""Curves are of the same tasks, and of the same kinds of probes, from end to end."""

from __future__ import annotations

import pytest

from saeflow.studies.classification.settings.along import curves


def _scarce(task: str, sizes: dict[float, float]) -> list[dict]:
    return [
        {"task": task, "setting": "scarcity", "level": size, "auc": auc}
        for size, auc in sizes.items()
    ]


def test_a_curve_is_of_the_tasks_that_have_all_of_it(one_hook):
    fits = [
        *_scarce("a", {4.0: 0.5, 8.0: 0.6, 16.0: 0.7}),
        *_scarce("b", {4.0: 0.7, 8.0: 0.8, 16.0: 0.9}),
        *_scarce("c", {4.0: 1.0}),
    ]
    table = curves(one_hook(fits, one=fits))
    found = table[table["series"] == "best baseline"]
    assert found["level"].tolist() == [4, 8, 16]
    assert found["auc"].tolist() == pytest.approx([0.6, 0.7, 0.8])
    assert set(found["n_tasks"]) == {2} and set(found["n_tasks_of_all"]) == {3}


def test_a_curve_ends_where_most_tasks_do(one_hook):
    fits = [
        *_scarce("a", {4.0: 0.5, 8.0: 0.6, 16.0: 0.7}),
        *_scarce("b", {4.0: 0.7, 8.0: 0.8}),
        *_scarce("c", {4.0: 0.9, 8.0: 1.0}),
    ]
    found = curves(one_hook(fits, one=fits)).query("series == 'k = 16'")
    assert found["level"].tolist() == [4, 8]
    assert found["auc"].tolist() == pytest.approx([0.7, 0.8])


def test_components_that_were_chosen_make_no_other_kind_of_probe(one_hook):
    noisy = {"task": "a", "setting": "noise", "level": 0.2, "auc": 0.6, "method": "pca", "k": 8}
    fits = [noisy, {"task": "a", "auc": 0.8, "method": "pca", "k": 3}]
    codes = [{**fit, "method": "k_sparse", "k": 16} for fit in fits]
    found = curves(one_hook(fits, one=codes)).query("series == 'best baseline'")
    assert found["auc"].tolist() == pytest.approx([0.8, 0.6])


def test_no_noise_is_of_the_kinds_of_probes_that_noise_has(one_hook):
    noisy = {"task": "a", "setting": "noise", "level": 0.2, "auc": 0.6}
    fits = [noisy, {"task": "a", "auc": 0.8}]
    best = {"task": "a", "auc": 0.9, "validation_auc": 1, "method": "mlp"}
    found = curves(one_hook([*fits, best], one=fits)).query("series == 'best baseline'")
    assert found["level"].tolist() == [0, 0.2]
    assert found["auc"].tolist() == pytest.approx([0.8, 0.6])
