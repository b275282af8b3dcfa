"""AUC and accuracy of fits, and of resampled texts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import made_up_probes
from saeflow.errors import DamagedError
from saeflow.studies.classification.scoring import (
    FITS,
    SCORES,
    Resamples,
    Scored,
    aucs,
    scored,
    text_weights,
    weighted_accuracy,
    weighted_auc,
)
from saeflow.tables.runs import Record


def _random(n: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 2, n)
    found = labels + rng.normal(0, 2, n)
    return labels, np.round(found) if ties else found


def test_auc_by_hand():
    # positives 3 and 1, negatives 2, 1 and 0: of six pairs right are 3 > 2, 1, 0 and 1 > 0, and
    # 1 = 1 is half right
    labels, found = np.array([1, 1, 0, 0, 0]), np.array([3.0, 1.0, 2.0, 1.0, 0.0])
    assert aucs(np.zeros(5, int), labels, found) == pytest.approx([4.5 / 6])


def test_auc_of_several_fits_at_once_is_that_of_each():
    sizes, labels, found = (12, 40, 101), [], []
    for n in sizes:
        one = _random(n, ties=n == 40)
        labels.append(one[0])
        found.append(one[1])
    fits = np.repeat([3, 5, 9], sizes)
    ours = aucs(fits, np.concatenate(labels), np.concatenate(found))
    assert ours == pytest.approx([roc_auc_score(*one) for one in zip(labels, found, strict=True)])


def test_one_class_has_no_auc():
    found = aucs(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 1]), np.array([1.0, 2.0, 0.0, 5.0]))
    assert np.isnan(found[0]) and found[1] == 1


def test_equal_scores_say_nothing():
    labels = np.array([0, 1, 0, 1, 1])
    assert aucs(np.zeros(5, int), labels, np.zeros(5)) == pytest.approx([0.5])
    assert weighted_auc(labels, np.zeros(5), np.ones((5, 1), np.uint8)) == pytest.approx([0.5])


def test_weights_by_hand():
    # a text that counts twice is two texts
    labels, found = np.array([1, 0, 1, 0]), np.array([2.0, 1.0, 0.0, -1.0])
    weights = np.array([[1, 2], [1, 1], [1, 0], [1, 3]])
    # all once: 2 > 1, 2 > -1, 0 > -1 of four pairs; then 2 twice against 1 and three times -1
    assert weighted_auc(labels, found, weights) == pytest.approx([3 / 4, 1.0])
    # right of zero are 2 (yes) and -1 (yes); 1 is wrong, and 0, which is not above zero
    assert weighted_accuracy(labels, found, weights) == pytest.approx([2 / 4, 5 / 6])


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_auc_is_that_of_repeated_texts(ties):
    labels, found = _random(60, ties=ties)
    weights = text_weights(np.arange(60), Resamples(5, 1))
    ours = weighted_auc(labels, found, weights)
    for column, value in zip(weights.T, ours, strict=True):
        again = np.repeat(labels, column), np.repeat(found, column)
        assert value == pytest.approx(roc_auc_score(*again))
    right = (found > 0) == labels
    assert weighted_accuracy(labels, found, weights) == pytest.approx(
        [np.repeat(right, column).mean() for column in weights.T]
    )


def test_many_texts_do_not_overflow():
    n = 30_000
    labels = np.arange(n) % 2
    found = weighted_auc(labels, labels.astype(float), np.full((n, 1), 3, np.uint8))
    assert found == pytest.approx([1.0])


def test_a_class_that_is_not_drawn_leaves_no_auc():
    labels, weights = np.array([1, 0]), np.array([[0, 1], [1, 1]])
    found = weighted_auc(labels, np.array([1.0, 0.0]), weights)
    assert np.isnan(found[0]) and found[1] == 1


def test_a_text_counts_the_same_wherever_it_is():
    some, others = np.array([4, 8, 15]), np.array([15, 16, 4])
    one, two = (text_weights(texts, Resamples(100, 3)) for texts in (some, others))
    assert (one[0] == two[2]).all() and (one[2] == two[0]).all()
    assert not (one == text_weights(some, Resamples(100, 4))).all()


def test_texts_count_once_on_the_average():
    found = text_weights(np.arange(200), Resamples(200, 0)).astype(float)
    # 40,000 Poisson numbers of mean and variance one
    assert found.mean() == pytest.approx(1, abs=5 / 200)
    assert found.var() == pytest.approx(1, abs=0.05)


def test_fits_of_a_record_have_their_chosen_auc():
    table = Scored(made_up_probes.record([{"auc": 0.75}, {"auc": 1.0}, {"auc": 0.0}])).table
    assert list(table["auc"]) == [0.75, 1, 0]
    assert list(table["n_test"]) == [40] * 3
    assert list(table["dataset"]) == ["a"] * 3


def test_accuracy_is_the_share_on_the_right_side_of_zero():
    fits, rows = made_up_probes.record([{"auc": 0.5}]), {}
    rows[FITS] = fits.table(FITS)
    rows[SCORES] = pd.DataFrame(
        {"fit": 0, "example": range(4), "label": [1, 1, 0, 0], "score": [0.1, 0.0, -1.0, 2.0]}
    )
    # 0.0 is not above zero: a positive text on the wrong side
    assert Scored(Record(fits.facts, rows.__getitem__)).table["accuracy"].tolist() == [0.5]


def test_order_of_rows_changes_nothing():
    fits = made_up_probes.record([{"auc": 0.3, "task": "b"}, {"auc": 0.7}, {"auc": 0.9}])
    rng = np.random.default_rng(0)
    tables = {
        name: fits.table(name).sample(frac=1, random_state=rng.integers(99))
        for name in (FITS, SCORES)
    }
    one, two = Scored(fits), Scored(Record(fits.facts, tables.__getitem__))
    pd.testing.assert_frame_equal(one.table, two.table)
    for fit in range(3):
        drawn = [found.drawn(fit, "auc", Resamples(20, 0)) for found in (one, two)]
        assert (drawn[0] == drawn[1]).all()


def test_an_interval_is_about_as_wide_as_theory_says():
    # Hanley and McNeil 1982: with Q1 = A / (2 - A), Q2 = 2 A^2 / (1 + A)
    labels, found = _random(400)
    auc, n_positive = roc_auc_score(labels, found), labels.sum()
    n_negative = 400 - n_positive
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (n_positive - 1) * (q1 - auc**2) + (n_negative - 1) * (q2 - auc**2)
    theory = np.sqrt(variance / (n_positive * n_negative))
    weights = text_weights(np.arange(400), Resamples(1000, 0))
    assert weighted_auc(labels, found, weights).std() == pytest.approx(theory, rel=0.1)


def test_scores_are_formed_once():
    record = made_up_probes.record([{"auc": 0.5}])
    assert scored(record) is scored(record)


def test_a_fit_without_scores_is_damage():
    fits = made_up_probes.record([{"auc": 0.5}, {"auc": 0.5}])
    tables = {FITS: fits.table(FITS).iloc[:1], SCORES: fits.table(SCORES)}
    with pytest.raises(DamagedError, match="not of the same fits"):
        Scored(Record(fits.facts, tables.__getitem__))


def test_a_task_without_a_dataset_is_damage():
    fits = made_up_probes.record([{"auc": 0.5}])
    with pytest.raises(DamagedError, match="no dataset"):
        Scored(Record({"tasks": {}}, fits.table))
