import numpy as np
import pytest

from saeflow.metrics.propagation import (
    N_BINS,
    bins_of,
    mean_of_ratios,
    median,
    published,
    ratio_of_means,
)

# l0 on four tokens: 2, 4, 0, 1 in the clean run and 3, 2, 5, 1 where a change has arrived.
SUMS = {"l0": 7.0, "l0_full": 11.0, "l0_compared": 3.0, "l0_full_ratio": 1.5 + 0.5 + 1.0}


def test_a_ratio_of_means_has_all_tokens_and_a_mean_of_ratios_those_that_have_one():
    assert ratio_of_means(SUMS, "l0") == pytest.approx(11 / 7 - 1)
    assert mean_of_ratios(SUMS, "l0") == 0


def test_both_are_formed_of_resamples_at_once():
    sums = {name: np.array([1.0, 2.0]) * value for name, value in SUMS.items()}
    np.testing.assert_allclose(ratio_of_means(sums, "l0"), [4 / 7, 4 / 7])
    assert mean_of_ratios(sums, "l0").shape == (2,)


def test_what_was_published_is_a_mean_over_pairs_of_tokens_of_two_texts():
    """Changed 3 and 5 at the index of two texts, over clean 1, 2 and 4 of another."""
    above, below = np.array([3.0, 5.0]), np.array([1.0, 2.0, 4.0])
    numerators = {"at_index": 2.0, "l0_at_index": 8.0}
    denominators = {"l0_inverse": 1.75, "l0_inverted": 3.0}
    expected = np.divide.outer(above, below).mean() - 1
    assert published(numerators, denominators, "l0") == pytest.approx(expected)


def count(ratios):
    counts = np.bincount(bins_of(np.array(ratios)), minlength=N_BINS)
    return np.arange(N_BINS), counts


@pytest.mark.parametrize(
    "ratios", [[0.5], [3.0, 1.0, 0.2], [0.9, 1.02], [1.001, 0.999, 1.003, 0.98], [50.0, 2.0, 0.01]]
)
def test_a_median_is_right_to_half_a_bin(ratios):
    expected = np.median(ratios)
    width = 2e-4 + 0.02 * abs(np.log(expected))
    if len(ratios) % 2 == 0:
        width += 0.02 * max(abs(np.log(ratios)))
    assert median(*count(ratios)) == pytest.approx(expected, rel=width / 2 + 1e-9)


def test_no_change_is_a_median_of_exactly_one():
    assert median(*count([1.0] * 7)) == 1.0


def test_ratios_without_end_and_zero_are_counted_at_the_ends():
    assert bins_of(np.array([0.0, 1e-30, 1e30, 1.0])).tolist() == [0, 0, N_BINS - 1, N_BINS // 2]
    assert median(*count([0.0, 0.0, 1.0])) == pytest.approx(0, abs=1e-6)


def test_of_no_ratio_there_is_no_median():
    assert np.isnan(median(np.arange(3), np.zeros(3, dtype=int)))
