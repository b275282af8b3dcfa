"""Means over tasks and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from saeflow.studies.classification.averages import DATASETS, FEW_DATASETS, TEXTS, ByTask
from saeflow.studies.classification.scoring import Resamples


def _by_task(values: list[float], datasets: list[str], spread: float = 0.0) -> ByTask:
    names = np.array([f"t{i:02}" for i in range(len(values))], object)
    rng = np.random.default_rng(0)
    drawn = np.array(values)[:, None] + spread * rng.normal(size=(len(values), 400))
    own = (names, np.array(datasets, object), np.array(values))
    return ByTask(*own, lambda: drawn, Resamples(400, 0))


def test_datasets_are_drawn_with_all_their_tasks():
    # two tasks in each of ten datasets, which are alike within: as ten numbers, not as twenty
    values = [i / 10 for i in range(10) for _ in range(2)]
    names = [f"d{i}" for i in range(10) for _ in range(2)]
    found = _by_task(values, names).average()
    assert found.estimate.value == pytest.approx(0.45)
    assert (found.n_tasks, found.n_datasets, found.resampled) == (20, 10, DATASETS)
    half = (found.estimate.high - found.estimate.low) / 2
    # the standard deviation of 0 .. 0.9 is sqrt(8.25) / 10, of the mean of ten 0.0908
    assert half == pytest.approx(1.96 * np.sqrt(8.25) / 10 / np.sqrt(10), rel=0.15)


def test_a_dataset_of_more_tasks_counts_for_more():
    names = [f"d{max(0, i - 5)}" for i in range(15)]  # six tasks in the first
    assert _by_task([1.0] * 6 + [0.0] * 9, names).average().estimate.value == pytest.approx(6 / 15)


def test_texts_are_drawn_where_datasets_are_few():
    found = _by_task([0.5, 0.7], ["a", "b"], spread=0.1).average()
    assert found.resampled == TEXTS
    assert found.n_datasets < FEW_DATASETS
    half = (found.estimate.high - found.estimate.low) / 2
    assert half == pytest.approx(1.96 * 0.1 / np.sqrt(2), rel=0.15)


def test_differences_are_of_tasks_that_have_both_on_the_same_texts():
    one, two = _by_task([0.5, 0.7, 0.9], list("abc"), 1.0), _by_task([0.4, 0.7], list("ab"), 1.0)
    found = one.minus(two)
    assert found.values == pytest.approx([0.1, 0.0])
    assert found.drawn() == pytest.approx(one.drawn()[:2] - two.drawn())
    assert one.wins(two).values.tolist() == [1.0, 0.5]


def test_a_task_without_a_number_is_left_out():
    found = _by_task([0.5, np.nan, 0.9], list("abc"), 0.1)
    assert list(found.tasks) == ["t00", "t02"]
    assert found.average().estimate.value == pytest.approx(0.7)
    assert found.drawn().shape == (2, 400)
    table = found.estimates("auc")
    assert list(table.columns) == ["auc", "auc_low", "auc_high"]
    assert (table["auc_low"] < table["auc"]).all() and (table["auc"] < table["auc_high"]).all()


def test_no_tasks_and_no_resamples():
    nothing = _by_task([], []).average()
    assert nothing.estimate == (None, None, None) and nothing.n_tasks == 0
    one = (np.array(["t"]), np.array(["a"]), np.array([0.6]))
    alone = ByTask(*one, lambda: np.empty((1, 0)), Resamples())
    assert alone.average().estimate == (pytest.approx(0.6), None, None)
    assert alone.estimates("auc").isna().to_numpy().sum() == 2
