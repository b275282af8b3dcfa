import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from saeflow.measures.erasure.erasers import Eraser, leace, mean_difference, projection

# Covariance [[5, 1], [1, 1]], means of the classes (1, 1) and (-1, -1).
X = np.array([[3.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-3.0, -1.0]])
Z = np.array([1, 1, 0, 0])


@pytest.fixture
def examples() -> tuple[np.ndarray, np.ndarray]:
    """Of 60 examples in 7 dimensions of unequal size that hang together, two that tell classes."""
    rng = np.random.default_rng(3)
    z = (np.arange(60) % 3 == 0).astype(int)
    mixed = rng.standard_normal((7, 7))
    x = rng.standard_normal((60, 7)) * np.geomspace(1, 10, 7) @ mixed + 4
    return x + np.outer(z, rng.standard_normal(7) * 3), z


def covariance(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.mean((x - x.mean(0)) * (z - z.mean())[:, None], axis=0)


def change(x: np.ndarray, eraser: Eraser, metric: np.ndarray) -> float:
    moved = eraser(x) - x
    return float(np.mean(np.sum(moved @ metric * moved, axis=1)))


def test_two_dimensions_by_hand():
    # Σ⁻¹ (1, 1) = (0, 1): the second coordinate tells the classes, and (1, 1) is taken out by it.
    eraser = leace(X, Z)
    np.testing.assert_allclose(eraser.taken.T @ eraser.read, [[0, 1], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(eraser(X), [[2, 0], [-2, 0], [2, 0], [-2, 0]], atol=1e-12)
    # the projection along (1, 1) takes as much of the first coordinate as of the second
    straight = projection(X.mean(0), mean_difference(X, Z))
    np.testing.assert_allclose(straight(X), [[1, -1], [-1, 1], [1, -1], [-1, 1]], atol=1e-12)
    assert change(X, eraser, np.eye(2)) == pytest.approx(2)
    assert change(X, straight, np.eye(2)) == pytest.approx(4)


@pytest.mark.parametrize("shrunk", [False, True])
def test_nothing_goes_with_the_concept_afterwards(examples, shrunk):
    x, z = examples
    erased = leace(x, z, shrunk=shrunk)(x)
    assert np.abs(covariance(x, z)).max() > 0.5
    np.testing.assert_allclose(covariance(erased, z), 0, atol=1e-10)
    np.testing.assert_allclose(erased.mean(0), x.mean(0))


def test_no_linear_reader_beats_chance_on_its_examples(examples):
    x, z = examples
    reader = LogisticRegression(solver="newton-cholesky", max_iter=1000, tol=1e-12)
    erased = leace(x, z)(x)
    assert reader.fit(x, z).score(x, z) > 0.8
    reader.fit(erased, z)
    np.testing.assert_allclose(reader.coef_, 0, atol=1e-6)
    share = z.mean()
    np.testing.assert_allclose(reader.predict_proba(erased)[:, 1], share, atol=1e-5)


def test_every_other_guarded_map_changes_more(examples):
    x, z = examples
    eraser, sigma = leace(x, z), covariance(x, z)
    rng = np.random.default_rng(0)
    metrics = [np.eye(7), *(a @ a.T for a in rng.standard_normal((3, 7, 7)))]
    others = [projection(x.mean(0), sigma)]
    for reads in rng.standard_normal((20, 7)):
        others.append(Eraser(x.mean(0), reads[None] / (reads @ sigma), sigma[None]))
    for other in others:
        np.testing.assert_allclose(covariance(other(x), z), 0, atol=1e-8)
        for metric in metrics:
            assert change(x, other, metric) > change(x, eraser, metric)


def test_what_is_changed_elsewhere_is_least_there(examples):
    x, z = examples
    rng = np.random.default_rng(7)
    tokens = rng.standard_normal((200, 7)) * [1, 9, 2, 5, 1, 3, 1] - 2  # where the eraser stands
    eraser = leace(x, z, changed=tokens)
    np.testing.assert_allclose(covariance(eraser(x), z), 0, atol=1e-10)
    np.testing.assert_allclose(eraser(tokens).mean(0), tokens.mean(0))
    sigma = covariance(x, z)
    others = [leace(x, z), projection(tokens.mean(0), sigma)]
    others += [
        Eraser(tokens.mean(0), reads[None] / (reads @ sigma), sigma[None])
        for reads in rng.standard_normal((20, 7))
    ]
    for other in others:
        assert change(tokens, other, np.eye(7)) > change(tokens, eraser, np.eye(7))


def test_erasing_twice_is_erasing_once(examples):
    x, z = examples
    for eraser in (leace(x, z), leace(x, z, shrunk=True), projection(x.mean(0), np.arange(1, 8))):
        np.testing.assert_allclose(eraser(eraser(x)), eraser(x), atol=1e-9)
        np.testing.assert_allclose(eraser.read @ eraser.taken.T, np.eye(1), atol=1e-9)


def test_a_change_of_units_changes_nothing(examples):
    x, z = examples
    units = np.random.default_rng(5).standard_normal((7, 7))
    np.testing.assert_allclose(leace(x @ units, z)(x @ units), leace(x, z)(x) @ units, atol=1e-8)


def test_several_classes_are_erased_at_once(examples):
    x, _ = examples
    z = np.arange(60) % 4
    indicators = np.eye(4)[z]
    eraser = leace(x + 3 * np.random.default_rng(1).standard_normal((4, 7))[z], indicators)
    assert len(eraser.read) == 3  # the columns of indicators sum to one


def test_data_in_a_subspace_stay_there(examples):
    x, z = examples
    wide = x @ np.random.default_rng(2).standard_normal((7, 90))  # more dimensions than examples
    erased = leace(wide, z)(wide)
    np.testing.assert_allclose(covariance(erased, z), 0, atol=1e-7)
    assert np.linalg.matrix_rank(erased - erased.mean(0), tol=1e-6) == 6


def test_labels_that_say_nothing_take_nothing(examples):
    x, _ = examples
    eraser = leace(x, np.ones(60))
    assert eraser.read.shape == (0, 7)
    np.testing.assert_array_equal(eraser(x), x)
