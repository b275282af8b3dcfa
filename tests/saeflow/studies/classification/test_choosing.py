"""The best fit by validation, and the numbers of tasks."""

from __future__ import annotations

import numpy as np
import pytest

import made_up_probes
from saeflow.studies.classification.choosing import Fits
from saeflow.studies.classification.scoring import SCORES, Resamples, Scored
from saeflow.tables.runs import Record


def _scored(*fits: dict) -> Scored:
    return Scored(made_up_probes.record(fits))


def test_the_best_is_that_of_the_highest_validation_and_not_of_the_test():
    dense = _scored(
        {"auc": 0.6, "validation_auc": 0.9},
        {"auc": 0.9, "validation_auc": 0.8, "method": "mlp"},
    )
    best = Fits.of(dense).best().table
    assert list(best["method"]) == ["logistic"]
    assert list(best["auc"]) == [0.6]


def test_of_equals_the_first_measurement_and_method_win_in_any_order():
    dense = [{"auc": 0.5, "method": name, "validation_auc": 1} for name in ("mlp", "pca")]
    sparse = {"auc": 0.5, "method": "k_sparse", "input": "codes", "k": 1, "validation_auc": 1}
    for order in (1, -1):
        found = Fits.of(_scored(*dense[::order]), _scored(sparse)).best().table
        assert found[["source", "method"]].to_numpy().tolist() == [[0, "pca"]]


def test_what_was_not_validated_is_chosen_last():
    found = Fits.of(
        _scored(
            {"auc": 0.5, "validation_auc": np.nan},
            {"auc": 0.5, "validation_auc": 0.1, "method": "knn"},
        )
    )
    assert list(found.best().table["method"]) == ["knn"]
    none = Fits.of(_scored(*({"auc": 0.5, "validation_auc": np.nan, "seed": s} for s in (0, 1))))
    assert len(none.best().table) == 2


def test_there_is_a_best_of_each_training_set():
    fits = [
        {"auc": 0.5, "task": task, "setting": "scarcity", "level": level, "seed": seed, "method": m}
        for task in "ab"
        for level in (4.0, 8.0)
        for seed in (0, 1, 2)
        for m in ("logistic", "knn")
    ]
    normal = [{"auc": 0.5, "task": task, "method": m} for task in "ab" for m in ("pca", "knn")]
    assert len(Fits.of(_scored(*fits, *normal)).best().table) == 12 + 2


def test_permuted_test_labels_change_no_choice():
    fits = made_up_probes.runs(["resid_post.0"], [], n_tasks=4)[0].records["dense_probes"]
    rng = np.random.default_rng(0)
    permuted = fits.table(SCORES).assign(label=lambda t: rng.permutation(t["label"]))
    other = Record(fits.facts, {"fits.parquet": fits.table("fits.parquet"), SCORES: permuted}.get)
    one, two = (Fits.of(Scored(record)).best().table for record in (fits, other))
    assert list(one["fit"]) == list(two["fit"])
    assert not np.allclose(one["auc"], two["auc"])


def test_seeds_are_averaged_first():
    fits = [
        {"auc": 0.6, "seed": 0}, {"auc": 0.8, "seed": 1},
        {"auc": 0.5, "task": "b"},
    ]  # fmt: skip
    found = Fits.of(_scored(*fits)).by_task(Resamples(50, 0))
    assert list(found.tasks) == ["a", "b"]
    assert found.values == pytest.approx([0.7, 0.5])
    one = _scored(*fits)
    drawn = [one.drawn(fit, "auc", Resamples(50, 0)) for fit in (0, 1)]
    assert found.drawn()[0] == pytest.approx(np.mean(drawn, axis=0))


def test_fits_are_selected_and_put_together():
    one = Fits.of(_scored({"auc": 0.5}, {"auc": 0.6, "method": "pca"}))
    two = Fits.of(_scored({"auc": 0.7, "method": "k_sparse", "k": 4}))
    both = one.where(method="pca") | two
    assert both.by_task(Resamples()).values == pytest.approx([0.65])
    assert list(both.table["source"]) == [0, 1]
    groups = both.by("method")
    assert list(groups) == [("k_sparse",), ("pca",)]
    assert groups[("k_sparse",)].by_task(Resamples()).values == pytest.approx([0.7])
    assert both.where(level=(1.0, np.nan)).table.shape[0] == 2
