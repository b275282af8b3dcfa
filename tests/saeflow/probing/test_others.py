"""The post's pipeline, neighbours, trees and networks: against scikit-learn on dense arrays."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from saeflow.probing.folds import folds_of
from saeflow.probing.others import boosting, knn, mlp, published
from training_sets import training


def liblinear(x, positive, **options):
    model = LogisticRegression(solver="liblinear", C=0.01, random_state=0, **options)
    return make_pipeline(StandardScaler(), model).fit(x, positive)


def test_states_go_through_the_post_s_pipeline(states):
    x, positive = states
    (found,) = published(training(x, positive))
    expected = liblinear(x, positive, max_iter=50).decision_function(x)
    np.testing.assert_array_equal(found.score(x), expected)
    assert found.converged


def test_codes_give_the_minimum_of_the_post_s_objective_without_being_made_dense(
    codes, monkeypatch
):
    x, positive = codes
    dense = x.toarray()
    for name in ("toarray", "todense"):
        monkeypatch.setattr(csr_matrix, name, None, raising=False)
    (found,) = published(training(x, positive))
    exact = liblinear(dense, positive, max_iter=10_000, tol=1e-10)
    np.testing.assert_allclose(found.score(x), exact.decision_function(dense), rtol=1e-4, atol=1e-6)
    usual = liblinear(dense, positive, max_iter=50)
    apart = np.abs(found.score(x) - usual.decision_function(dense)).max()
    assert apart < 1e-3 * np.abs(found.score(x)).max()
    assert found.score.weights[-1] == 0  # a column of zeros
    assert found.converged


def test_the_intercept_is_penalised_as_liblinear_does(rng):
    x = np.maximum(rng.normal(size=(200, 3)), 0)
    positive = rng.random(200) < 0.9
    (found,) = published(training(csr_matrix(x), positive))
    # a free intercept would be the log of the odds, 2.2
    assert 0.3 < found.score.intercept + found.score.weights @ x.mean(0) < 1.5


@pytest.mark.parametrize("n", [9, 100, 300])
def test_neighbours_are_those_of_scikit_learn_and_as_many_as_is_best_on_the_folds(states, n):
    x, positive = states[0][:n], states[1][:n]
    (found,) = knn(training(x, positive))
    folds = folds_of(positive)

    def share(k, fit, rows):
        model = make_pipeline(StandardScaler(), KNeighborsClassifier(k))
        return model.fit(x[fit], positive[fit]).predict_proba(rows)[:, 1]

    means = {
        k: np.mean([roc_auc_score(positive[look], share(k, fit, x[look])) for fit, look in folds])
        for k in {int(k) for k in np.geomspace(1, min(100, *(len(f.fit) for f in folds)), 10)}
    }
    assert found.validation_auc == pytest.approx(max(means.values()))
    assert means[found.k] == max(means.values())
    expected = share(found.k, np.arange(n), x) - 0.5
    np.testing.assert_allclose(found.score(x), expected, atol=1e-12)


def test_without_folds_the_nearest_neighbour_counts():
    x = np.array([[0.0], [1.0], [9.0]])
    (found,) = knn(training(x, np.array([False, True, True])))
    assert found.score(np.array([[0.2], [1.2], [20.0]])).tolist() == [-0.5, 0.5, 0.5]


@pytest.mark.parametrize("method", [boosting, mlp])
def test_models_tell_what_no_line_does_and_the_same_each_time(method, rng):
    x = rng.normal(size=(400, 3))
    positive = (x[:, 0] > 0) ^ (x[:, 1] > 0)
    (found,), (again,) = method(training(x, positive)), method(training(x, positive))
    np.testing.assert_array_equal(found.score(x), again.score(x))
    assert found.validation_auc > 0.9
    new = rng.normal(size=(300, 3))
    assert roc_auc_score((new[:, 0] > 0) ^ (new[:, 1] > 0), found.score(new)) > 0.9


def test_a_network_that_does_not_come_to_its_end_says_so(states, monkeypatch):
    x, positive = states
    monkeypatch.setattr("saeflow.probing.others._MOST_STEPS", 2)
    (found,) = mlp(training(x, positive))
    assert not found.converged


@pytest.mark.parametrize("method", [published, knn, boosting, mlp])
def test_sparse_inputs_are_read_as_their_dense_form(codes, method):
    x, positive = codes
    (sparse,), (dense,) = method(training(x, positive)), method(training(x.toarray(), positive))
    np.testing.assert_allclose(sparse.score(x), dense.score(x.toarray()), rtol=2e-3, atol=1e-4)
