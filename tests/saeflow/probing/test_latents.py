"""k-sparse probes: which latents, and that they are chosen within folds."""

from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from saeflow.probing.latents import k_sparse, ranking
from training_sets import mean_auc, training

GRID = [1e-2, 1.0, 100.0]


def test_latents_with_the_largest_difference_of_means_come_first():
    x = np.array([[1.0, 0, 5, 2], [3.0, 0, 1, 2], [0.0, 4, 2, 2], [0.0, 0, 1, 2]])
    positive = np.array([True, True, False, False])
    # means of positive ones 2, 0, 3, 2; of the others 0, 2, 1.5, 2; columns 0 and 1 are equal
    assert ranking(x, positive, 4, normalise=False).tolist() == [0, 1, 2]
    assert ranking(csr_matrix(x), positive, 2, normalise=False).tolist() == [0, 1]
    # in units of the mean where active, 2, 4 and 2.25: 2 / 2, 2 / 4, 1.5 / 2.25
    assert ranking(csr_matrix(x), positive, 4).tolist() == [0, 2, 1]


def test_the_ranking_is_that_of_sae_probes(codes):
    # its formulas: x / (sum |x| / (count + 1e-6) + 1e-6), then |mean of 1 - mean of 0|
    x, positive = codes[0].toarray(), codes[1]
    sized = x / (np.abs(x).sum(0) / ((x != 0).sum(0) + 1e-6) + 1e-6)
    apart = np.abs(sized[positive].mean(0) - sized[~positive].mean(0))
    expected = np.argsort(-apart)[:10]
    np.testing.assert_array_equal(ranking(*codes, 10), expected)


def by_hand(x, positive, k, grid):
    """Return the fit of k latents, all within folds, with scikit-learn."""

    def fit(penalty, rows):
        columns = ranking(x[rows], positive[rows], k)
        model = LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-10, max_iter=500)
        model = make_pipeline(StandardScaler(), model).fit(x[rows][:, columns], positive[rows])
        return lambda rows: model.decision_function(rows[:, columns])

    means = [mean_auc(partial(fit, penalty), x, positive) for penalty in grid]
    score = fit(grid[int(np.argmax(means))], np.arange(len(x)))
    return score(x), ranking(x, positive, k), max(means)


@pytest.mark.parametrize("n", [11, 100, 300])
def test_fits_of_each_k_are_those_by_hand(codes, n):
    x, positive = codes[0][:n], codes[1][:n]
    for found in k_sparse(training(x, positive), ks=[1, 3, 12], penalties=GRID):
        scores, columns, mean = by_hand(x.toarray(), positive, found.k, GRID)
        assert list(found.latents) == columns.tolist()
        assert found.validation_auc == pytest.approx(mean, abs=1e-12)
        np.testing.assert_allclose(found.score(x), scores, rtol=2e-3, atol=1e-4)
        assert np.count_nonzero(found.score.weights) == len(columns)


def test_dense_inputs_give_the_same(codes):
    x, positive = codes
    for one, other in zip(
        k_sparse(training(x, positive), ks=[2, 8]),
        k_sparse(training(x.toarray(), positive), ks=[2, 8]),
        strict=True,
    ):
        np.testing.assert_array_equal(one.latents, other.latents)
        np.testing.assert_allclose(one.score(x), other.score(x.toarray()), rtol=1e-9)


def test_where_fewer_latents_differ_those_are_read(codes):
    x, positive = codes
    few = csr_matrix(x.toarray() * (np.arange(40) < 3))
    (found,) = k_sparse(training(few, positive), ks=[8])
    assert found.k == 8
    assert sorted(found.latents) == [0, 1, 2]


def test_where_none_differs_every_text_gets_one_score(codes):
    positive = codes[1]
    (found,) = k_sparse(training(csr_matrix((300, 40)), positive), ks=[4])
    assert len(found.latents) == 0
    scores = found.score(csr_matrix((5, 40)))
    np.testing.assert_allclose(scores, np.log(positive.mean() / (1 - positive.mean())), rtol=1e-4)


def test_neither_order_nor_size_of_latents_changes_scores(codes, rng):
    x, positive = codes
    order, size = rng.permutation(40), rng.exponential(size=40) + 0.1
    other = csr_matrix((x.toarray() * size)[:, order])
    fits = [k_sparse(training(one, positive), ks=[4, 16]) for one in (x, other)]
    for one, found in zip(*fits, strict=True):
        np.testing.assert_array_equal(order[found.latents], one.latents)
        np.testing.assert_allclose(found.score(other), one.score(x), rtol=1e-3, atol=1e-4)


def test_of_labels_that_say_nothing_nothing_is_told_though_latents_are_chosen_by_them():
    """600 columns of noise: chosen outside the folds, eight would tell their own fold's labels."""
    aucs = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = np.maximum(rng.normal(size=(90, 600)), 0)
        (found,) = k_sparse(training(x, rng.random(90) < 0.5, seed), ks=[8], penalties=GRID)
        aucs.append(found.validation_auc)
    # the best of three penalties is somewhat above 0.5; what leaks would give 0.8
    error = np.std(aucs) / np.sqrt(len(aucs))
    assert abs(np.mean(aucs) - 0.5) < 3 * error + 0.04
