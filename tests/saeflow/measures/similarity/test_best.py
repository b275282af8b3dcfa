"""The best match of each latent, against all cosines at once; and what chance gives."""

import numpy as np
import pytest
import torch

from saeflow.measures.similarity import best as module
from saeflow.measures.similarity.best import best, hold, strongest
from saeflow.measures.similarity.cosines import Cosines, unit
from saeflow.measures.similarity.nulls import gaussian, shuffled, uniform


@pytest.fixture
def threads():
    """Return a function that sets the number of threads; it is set back in the end."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def directions(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def slow(a, b):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return a @ b.T


@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (70, 3), (65, 130)])
def test_the_best_of_both_directions_are_those_of_all_cosines(monkeypatch, shape):
    monkeypatch.setattr(module, "TILE", 32)
    a, b = directions(shape[0], 9), directions(shape[1], 9, seed=1)
    rows, columns = best(Cosines(unit(a), unit(b)))
    every = slow(a, b)
    np.testing.assert_array_equal(rows.match, every.argmax(axis=1))
    np.testing.assert_array_equal(columns.match, every.argmax(axis=0))
    np.testing.assert_allclose(rows.value, every.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(columns.value, every.max(axis=0), atol=1e-6)
    held = hold(Cosines(unit(a), unit(b)))
    np.testing.assert_allclose(held.matrix, every, atol=1e-6)
    for one, other in zip(best(held), best(held.turned())[::-1], strict=True):
        np.testing.assert_array_equal(one.match, other.match)
        np.testing.assert_array_equal(one.value, other.value)


def test_of_equally_good_ones_the_first_is_taken_whichever_thread_comes_first(monkeypatch, threads):
    monkeypatch.setattr(module, "TILE", 4)
    a, found = unit(np.tile(np.eye(3), (20, 1))), []
    for n in (1, 4):
        threads(n)
        found.append(best(Cosines(a, a)))
    for rows, columns in found:
        assert rows.match.tolist() == columns.match.tolist() == [0, 1, 2] * 20
        assert rows.value.tolist() == columns.value.tolist() == [1.0] * 60


def test_threads_and_the_exchange_of_sides_change_nothing(threads):
    a, b = unit(directions(700, 40)), unit(directions(1300, 40, seed=1))
    threads(1)
    rows, columns = best(Cosines(a, b))
    threads(3)
    again, turned = best(Cosines(a, b)), best(Cosines(b, a))
    for one, other in ((again[0], rows), (again[1], columns), (turned[1], rows)):
        assert one.value.tobytes() == other.value.tobytes()
        assert one.match.tobytes() == other.match.tobytes()
    assert turned[0].value.tobytes() == columns.value.tobytes()


def test_the_length_of_rows_does_not_matter_and_their_sign_does():
    a = directions(20, 8)
    rows, _ = best(Cosines(unit(a), unit(a * np.linspace(0.1, 9, 20)[:, None])))
    np.testing.assert_allclose(rows.value, 1.0, atol=1e-6)
    assert rows.match.tolist() == list(range(20))
    turned, _ = best(Cosines(unit(a), unit(-a)))
    assert (turned.value < 0.999).all()


def test_a_row_of_zeros_is_like_nothing():
    rows, columns = best(Cosines(unit(np.zeros((1, 3))), unit(np.eye(3))))
    assert rows.value.tolist() == [0.0] and columns.value.tolist() == [0.0, 0.0, 0.0]


def test_the_strongest_are_those_of_the_sorted_cosines(monkeypatch):
    monkeypatch.setattr(module, "TILE", 16)
    a, b = directions(40, 6), directions(50, 6, seed=1)
    found = strongest(Cosines(unit(a), unit(b)), 7)
    expected = np.argsort(-slow(a, b), axis=1)[:, :7]
    assert np.sort(found, axis=1).tolist() == np.sort(expected, axis=1).tolist()
    assert strongest(Cosines(unit(a), unit(b)), 99).shape == (40, 50)


# The null table of post 004: mean best cosine of 1000 directions with ratio times d random ones.
FLOORS = {
    512: ({1: 0.134, 8: 0.160}, {1: 0.068, 8: 0.081}),
    768: ({1: 0.114, 8: 0.134}, {1: 0.055, 8: 0.067}),
    1024: ({1: 0.101, 8: 0.119}, {1: 0.051, 8: 0.059}),
}


@pytest.mark.parametrize("d", FLOORS)
@pytest.mark.parametrize("ratio", [1, 8])
def test_against_random_directions_the_floor_of_the_null_table_is_found(d, ratio):
    rows = unit(directions(400, d, seed=5))
    for draw, floors in zip((gaussian, uniform), FLOORS[d], strict=True):
        found = best(Cosines(rows, draw(ratio * d, d, 0)))[0].value
        error = found.std() / np.sqrt(len(found))
        # the table has three digits, of 1000 directions
        assert abs(found.mean() - floors[ratio]) < 0.0005 + 4 * error * np.sqrt(1 + 400 / 1000)


def test_shuffled_coordinates_keep_their_values_and_lose_their_directions():
    rows = unit(directions(300, 30) + 4 * np.eye(30)[0])  # a coordinate that all share
    found = shuffled(rows, 0)
    assert found[:, 0].mean() == pytest.approx(rows[:, 0].mean(), abs=0.02)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(300), abs=1e-6)
    by_columns, by_gaussian = (
        best(Cosines(rows, null))[0].value.mean() for null in (found, gaussian(300, 30, 0))
    )
    assert by_columns > by_gaussian + 0.1  # what is shared by all rows is no feature


def test_a_draw_is_the_same_each_time_and_another_for_another_seed():
    assert (gaussian(5, 4, 1) == gaussian(5, 4, 1)).all()
    assert (gaussian(5, 4, 1) != gaussian(5, 4, 2)).all()
    assert (uniform(5, 4, 1) >= 0).all()
