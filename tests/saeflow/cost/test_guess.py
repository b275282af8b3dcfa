import pytest

from saeflow.cost.guess import ZERO, Guess, total


def test_a_sum_of_exact_figures_is_exact():
    assert total([Guess(2.0), Guess(3.0)]) == Guess(5.0, 1.0)
    assert total([Guess(2.0), Guess(3.0)]).exact


def test_a_large_part_decides_how_far_off_a_sum_may_be():
    # logarithms weighted by share: 4^(8/10) * 1^(2/10)
    found = total([Guess(8.0, 4.0), Guess(2.0)])
    assert found.value == 10
    assert found.times == pytest.approx(4**0.8)


def test_nothing_adds_up_to_nothing():
    assert total([]) == total([ZERO]) == ZERO


def test_factors_multiply():
    assert Guess(6.0, 2.0).scaled(0.5, 1.5) == Guess(3.0, 3.0)
