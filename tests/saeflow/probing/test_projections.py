"""Probes in few directions, held against scikit-learn's principal components."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from saeflow.probing.fitted import Training
from saeflow.probing.projections import components, random_directions


def a_training_set(n, d, seed=0):
    rng = np.random.default_rng(seed)
    positive = np.arange(n) % 2 == 0
    x = rng.normal(size=(n, d)) * np.linspace(3, 1, d) + 2.0
    x[:, 0] += 3 * positive
    return Training(x, positive, [], {})


@pytest.mark.parametrize(("n", "d"), [(60, 12), (20, 40)])
def test_components_are_those_of_the_training_set_alone(n, d):
    training, k = a_training_set(n, d), 5
    tested = a_training_set(30, d, seed=1).x
    (found,) = components(training, ks=[k])
    pca = PCA(k).fit(training.x)
    scaler = StandardScaler().fit(pca.transform(training.x))
    model = LogisticRegression(solver="liblinear", C=0.01, tol=1e-8, max_iter=1000)
    model.fit(scaler.transform(pca.transform(training.x)), training.positive)
    expected = model.decision_function(scaler.transform(pca.transform(tested)))
    np.testing.assert_allclose(found.score(tested), expected, atol=5e-3)
    assert found.k == k


def test_all_components_are_a_turn_of_the_inputs():
    training = a_training_set(80, 6)
    (some,), (whole,) = components(training, ks=[6]), components(training, ks=[100])
    np.testing.assert_allclose(some.score(training.x), whole.score(training.x), atol=1e-6)


def test_several_numbers_of_components_are_the_leading_ones_of_each():
    training = a_training_set(60, 12)
    found = components(training, ks=[1, 4, 16])
    assert [one.k for one in found] == [1, 4]  # there are 12
    for one in found:
        (alone,) = components(training, ks=[one.k])
        np.testing.assert_allclose(
            one.score(training.x), alone.score(training.x), rtol=1e-6, atol=1e-8
        )


def test_an_input_moved_along_what_no_random_direction_sees_scores_the_same():
    training, other = a_training_set(60, 12), a_training_set(60, 12, seed=3)
    (one,), (two,) = (random_directions(t, k=3) for t in (training, other))
    at = np.random.default_rng(0).normal(size=(1, 12))
    slopes = [
        [(probe.score(at + step) - probe.score(at))[0] for step in np.eye(12)]
        for probe in (one, two)
    ]
    assert one.k == two.k == 3
    # linear in three directions, which both training sets share: four probes span no more
    (more,) = random_directions(a_training_set(60, 12, seed=5), k=3)
    (last,) = random_directions(a_training_set(60, 12, seed=7), k=3)
    for probe in (more, last):
        slopes.append([(probe.score(at + step) - probe.score(at))[0] for step in np.eye(12)])
    assert np.linalg.matrix_rank(np.array(slopes), tol=1e-8) == 3
