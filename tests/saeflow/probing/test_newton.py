"""Many logistic regressions at once, against one at a time by scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from saeflow.probing.newton import Dense, minimise

PENALTIES = np.array([1e-4, 1e-2, 1.0, 1e2, 1e4])


def problem(rng, n=120, p=6, noise=1.0):
    x = rng.normal(size=(n, p)) * np.geomspace(5, 0.2, p)
    return x, x @ rng.normal(size=p) + noise * rng.normal(size=n) > 0.3


def with_ones(x):
    return np.column_stack([x, np.ones(len(x))])


def ridge(p, penalties=PENALTIES):
    return np.vstack([np.tile(1 / penalties, (p, 1)), np.zeros(len(penalties))])


def solved(x, positive, *free, **options):
    """Solve the problems of all penalties, with an intercept, in one group."""
    counts = np.ones((1, len(x)))
    return minimise(Dense(with_ones(x)[None]), positive[None], counts, ridge(6), *free, **options)


def reference(x, positive, penalty):
    """Return the weights and the intercept of a fit that goes on to the minimum."""
    model = LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    model.fit(x, positive)
    return np.append(model.coef_[0], model.intercept_)


@pytest.mark.parametrize("noise", [1.0, 0.0])  # without noise a plane separates the classes
def test_each_problem_is_at_the_minimum_that_scikit_learn_finds(rng, noise):
    x, positive = problem(rng, noise=noise)
    found = solved(x, positive, tolerance=1e-9)
    assert found.converged.all()
    for place, penalty in enumerate(PENALTIES):
        expected = reference(x, positive, penalty)
        np.testing.assert_allclose(
            found.weights[0, :, place], expected, rtol=1e-4, atol=1e-5 * abs(expected).max()
        )


def test_groups_are_problems_of_their_own_and_rows_that_do_not_count_say_nothing(rng):
    x, positive = problem(rng)
    more, other = problem(rng)
    design = Dense(np.stack([with_ones(x), with_ones(more)]))
    counts = np.ones((2, len(x)))
    counts[1, 100:] = 0
    labels = np.stack([positive, other])
    labels[1, 100:] = ~labels[1, 100:]
    found = minimise(design, labels, counts, ridge(6), tolerance=1e-9)
    for place, penalty in enumerate(PENALTIES):
        for group, (rows, label) in enumerate([(x, positive), (more[:100], other[:100])]):
            expected = reference(rows, label, penalty)
            own = found.weights[group, :, place]
            np.testing.assert_allclose(own, expected, rtol=1e-3, atol=1e-5)


def test_a_weight_that_is_not_free_is_zero_and_the_others_are_as_without_its_column(rng):
    x, positive = problem(rng)
    free = np.ones((7, 5))
    free[2] = 0
    found = solved(x, positive, free, tolerance=1e-9)
    assert (found.weights[0, 2] == 0).all()
    expected = reference(np.delete(x, 2, axis=1), positive, PENALTIES[2])
    np.testing.assert_allclose(np.delete(found.weights[0, :, 2], 2), expected, rtol=1e-4)


def test_what_does_not_come_to_its_end_says_so(rng, monkeypatch):
    monkeypatch.setattr("saeflow.probing.newton._MAX_STEPS", 5)
    x, positive = problem(rng, noise=0.0)
    found = solved(x, positive)
    assert found.converged[0, 0]  # a strong penalty takes few steps
    assert not found.converged[0, -1]


def test_columns_of_zeros_get_no_weight(rng):
    x, positive = problem(rng)
    x[:, 1] = 0
    found = solved(x, positive)
    assert found.converged.all()
    assert (found.weights[0, 1] == 0).all()
