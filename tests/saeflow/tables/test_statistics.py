"""Correlations and slopes: hand-made cases, regression residuals and the post's own numbers."""

import numpy as np
import pytest

from saeflow.tables.statistics import (
    correlation,
    partial_correlation,
    rank_correlation,
    slope,
)


def test_the_correlation_of_a_hand_made_case():
    x, y = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 4, 3, 5])
    # deviations: products sum to 8, squares to 10 and 10
    found = correlation(x, y)
    assert found.value == pytest.approx(0.8)
    # Fisher: atanh 0.8 = ln 3 = 1.0986; half width 1.95996 / sqrt 2 = 1.38590
    assert found.low == pytest.approx(np.tanh(np.log(3) - 1.95996 / np.sqrt(2)), rel=1e-5)
    assert found.high == pytest.approx(np.tanh(np.log(3) + 1.95996 / np.sqrt(2)), rel=1e-5)


def test_a_rank_correlation_knows_only_the_order():
    x, y = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 4, 3, 900])
    found = rank_correlation(x, y)
    assert found.value == pytest.approx(0.8)  # the ranks are those of the case above
    half = 1.95996 * np.sqrt(1.06 / 2)
    assert found.high == pytest.approx(np.tanh(np.log(3) + half), rel=1e-5)
    # ties share their mean rank: deviations -2, -2, -.5, .5, 1.5, 2.5 and -2.5, ..., 2.5
    tied = rank_correlation(np.array([1.0, 1, 2, 3, 4, 5]), np.arange(6.0))
    assert tied.value == pytest.approx(np.sqrt(17 / 17.5))


def test_a_partial_correlation_is_that_of_the_residuals():
    random = np.random.default_rng(0)
    z = random.normal(size=300)
    x, y = z + random.normal(size=300), -2 * z + random.normal(size=300)
    design = np.stack([z, np.ones(300)], axis=1)
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    found = partial_correlation(x, y, z)
    assert found.value == pytest.approx(correlation(*left).value)
    assert found.low < 0 < found.high  # nothing is left, though x and y go together strongly
    assert correlation(x, y).high < -0.5


def test_the_posts_partial_correlations_follow_from_its_plain_ones():
    """Layer 5: r with scaling -.710 (strength), +.786 (frequency), partials -.501 and +.652.

    Both follow from one correlation of strength with frequency, about -.58; data with these three
    correlations are made and measured.
    """
    r = np.array([[1, -0.58, -0.710], [-0.58, 1, 0.786], [-0.710, 0.786, 1]])
    random = np.random.default_rng(1)
    white = np.linalg.qr(random.normal(size=(500, 3)))[0]
    white = white - white.mean(0)
    white = np.linalg.qr(white)[0]
    strength, frequency, scaling = (white @ np.linalg.cholesky(r).T).T
    assert correlation(strength, scaling).value == pytest.approx(-0.710)
    assert partial_correlation(strength, scaling, frequency).value == pytest.approx(
        -0.501, abs=5e-3
    )
    assert partial_correlation(frequency, scaling, strength).value == pytest.approx(0.652, abs=5e-3)


@pytest.mark.parametrize("y", [np.ones(10), np.full(10, np.nan)])
def test_where_nothing_varies_there_is_no_correlation(y):
    assert correlation(np.arange(10.0), y).value is None
    assert correlation(np.arange(3.0), np.arange(3.0)).value is None


def test_a_perfect_correlation_has_no_interval():
    found = correlation(np.arange(10.0), -np.arange(10.0))
    assert (found.value, found.low, found.high) == (-1, None, None)


def test_a_slope_and_its_interval_by_hand():
    """Of 0, 2, 1, 3 on 0, 1, 2, 3: Sxy = 4, Sxx = 5, residuals -.3, .9, -.9, .3."""
    found = slope(np.arange(4.0), np.array([0.0, 2.0, 1.0, 3.0]))
    error = np.sqrt(1.8 / 2 / 5)
    assert found == pytest.approx((0.8, 0.8 - 1.959964 * error, 0.8 + 1.959964 * error), rel=1e-6)


def test_a_slope_needs_two_different_places_and_its_interval_a_third_case():
    assert slope(np.ones(3), np.arange(3.0)) == (None, None, None)
    assert slope(np.array([0.0, 2.0]), np.array([1.0, 2.0])) == (0.5, None, None)
