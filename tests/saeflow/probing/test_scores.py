"""AUC and accuracy, by hand and by scikit-learn."""

import numpy as np
from sklearn.metrics import roc_auc_score

from saeflow.probing.scores import accuracy, auc


def test_auc_is_the_share_of_pairs_in_the_right_order_and_equals_count_half():
    positive = np.array([True, True, False, False, False])
    # pairs: 3 > (1, 0, 3): 2 and a half; 1 > (1, 0, 3): 1 and a half
    assert auc(np.array([3.0, 1.0, 1.0, 0.0, 3.0]), positive) == (2.5 + 1.5) / 6


def test_auc_of_columns_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 6, (50, 4)).astype(float), rng.random(50) < 0.3
    expected = [roc_auc_score(positive, column) for column in scores.T]
    np.testing.assert_allclose(auc(scores, positive), expected)


def test_without_one_of_the_classes_there_is_no_auc():
    assert np.isnan(auc(np.ones((3, 2)), np.ones(3, bool))).all()


def test_a_score_of_zero_means_negative():
    assert accuracy(np.array([1e-9, 0.0, -1.0, 2.0]), np.array([True, True, False, False])) == 0.5
    assert np.isnan(accuracy(np.zeros(0), np.zeros(0, bool)))
