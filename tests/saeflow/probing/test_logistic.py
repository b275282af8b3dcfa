"""Logistic regressions with a penalty, or components, chosen on folds: against scikit-learn."""

from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from saeflow.probing.logistic import logistic, pca
from training_sets import mean_auc, training

GRID = [1e-4, 1e-2, 1.0, 100.0]


def model(penalty, standardise=True):
    fit = LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-10, max_iter=500)
    return make_pipeline(StandardScaler(), fit) if standardise else fit


def chosen(make, grid, x, positive):
    """Return the best of a grid by hand: its model, fitted to all rows, and its mean AUC."""

    def fit(one, rows):
        return make(one).fit(x[rows], positive[rows]).decision_function

    means = [mean_auc(partial(fit, one), x, positive) for one in grid]
    best = int(np.argmax(means))
    return make(grid[best]).fit(x, positive), means[best]


@pytest.mark.parametrize("n", [10, 60, 300])
@pytest.mark.parametrize("standardise", [True, False])
def test_the_fit_is_that_of_scikit_learn_with_the_penalty_that_is_best_on_the_folds(
    states, n, standardise
):
    x, positive = states[0][:n], states[1][:n]
    (found,) = logistic(training(x, positive), penalties=GRID, standardise=standardise)
    expected, mean = chosen(lambda c: model(c, standardise), GRID, x, positive)
    assert found.converged
    assert found.validation_auc == pytest.approx(mean, abs=1e-12)
    np.testing.assert_allclose(found.score(x), expected.decision_function(x), rtol=1e-3, atol=1e-4)


def test_more_inputs_than_examples_are_no_other_problem(rng):
    x = rng.normal(size=(40, 200))
    positive = x[:, 0] + rng.normal(size=40) > 0
    (found,) = logistic(training(x, positive), penalties=GRID)
    expected, mean = chosen(model, GRID, x, positive)
    assert found.validation_auc == pytest.approx(mean, abs=1e-12)
    np.testing.assert_allclose(found.score(x), expected.decision_function(x), rtol=2e-3, atol=1e-4)


def test_sparse_inputs_give_what_their_dense_form_gives(codes):
    x, positive = codes
    (sparse,) = logistic(training(x, positive), penalties=GRID)
    (dense,) = logistic(training(x.toarray(), positive), penalties=GRID)
    assert sparse.validation_auc == dense.validation_auc
    np.testing.assert_allclose(sparse.score(x), dense.score(x.toarray()), rtol=1e-3, atol=1e-4)
    assert sparse.score.weights[-1] == 0  # a column of zeros


def test_components_are_those_of_each_fold_s_own_rows(states):
    x, positive = states
    (found,) = pca(training(x, positive))
    grid = [1, 2, 3, 5, 6, 9, 12]  # ten numbers from 1 to 12 in equal ratios, rounded down

    def make(n):
        return make_pipeline(StandardScaler(), PCA(n), model(1.0, standardise=False))

    assert found.k in grid
    expected, mean = chosen(make, grid, x, positive)
    assert found.validation_auc == pytest.approx(mean, abs=1e-12)
    np.testing.assert_allclose(found.score(x), expected.decision_function(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", [logistic, pca])
def test_neither_the_order_of_columns_nor_their_sizes_change_scores(states, method, rng):
    x, positive = states
    (one,) = method(training(x, positive))
    order, size = rng.permutation(12), rng.exponential(size=12) + 0.1
    other = (x * size)[:, order]
    (found,) = method(training(other, positive))
    np.testing.assert_allclose(found.score(other), one.score(x), rtol=1e-3, atol=1e-4)


def test_a_constant_column_counts_for_nothing(states):
    x, positive = states
    (one,) = logistic(training(x, positive))
    other = np.column_stack([x, np.full(300, 1e6)])
    (found,) = logistic(training(other, positive))
    np.testing.assert_allclose(found.score(other), one.score(x), rtol=1e-6)


def test_without_folds_the_penalty_is_scikit_learn_s_own(states):
    x, positive = states[0][:3], np.array([True, False, False])
    (found,) = logistic(training(x, positive))
    assert np.isnan(found.validation_auc)
    expected = model(1.0).fit(x, positive).decision_function(x)
    np.testing.assert_allclose(found.score(x), expected, rtol=1e-3)


def test_what_is_kept_of_inputs_is_of_no_consequence_for_other_labels(states):
    x, positive = states
    shared = training(x, positive)
    logistic(shared), pca(shared)
    turned = shared._replace(positive=~positive)
    (found,), (alone,) = logistic(turned), logistic(training(x, ~positive))
    np.testing.assert_array_equal(found.score(x), alone.score(x))


@pytest.mark.parametrize("method", [logistic, pca])
def test_a_fit_on_a_fold_that_does_not_come_to_its_end_is_told(states, method, monkeypatch):
    monkeypatch.setattr("saeflow.probing.newton._MAX_STEPS", 2)
    (found,) = method(training(*states))
    assert not found.converged


def test_sparse_inputs_are_not_made_dense(codes, monkeypatch):
    for name in ("toarray", "todense"):
        monkeypatch.setattr(csr_matrix, name, None, raising=False)
    x, positive = codes
    logistic(training(x, positive), penalties=GRID)
