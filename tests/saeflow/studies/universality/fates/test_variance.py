"""What factors take, and whose the variance is, against numbers computed by hand."""

import itertools

import numpy as np
import pytest

from saeflow.studies.universality.fates.variance import (
    FEATURE,
    INTERACTIONS,
    REST,
    dividends,
    freedom,
    portions,
    projections,
    squares,
    subsets,
    sums,
)

A, B, C = (frozenset(one) for one in "abc")


def test_the_subsets_of_factors_begin_with_single_ones():
    assert subsets("abc") == [A, B, C, A | B, A | C, B | C, A | B | C]


def test_dividends_are_inclusion_and_exclusion():
    losses = {A: 0.3, B: 0.2, C: 0.1, A | B: 0.4, A | C: 0.4, B | C: 0.35, A | B | C: 0.6}
    found = dividends(losses)
    assert found[A] == 0.3
    assert found[A | B] == pytest.approx(0.4 - 0.3 - 0.2)
    assert found[A | C] == pytest.approx(0.0)
    assert found[B | C] == pytest.approx(0.05)
    # 0.6 - (0.4 + 0.4 + 0.35) + (0.3 + 0.2 + 0.1)
    assert found[A | B | C] == pytest.approx(0.05)
    assert sum(found.values()) == pytest.approx(0.6)


def test_dividends_of_a_set_want_all_of_its_parts():
    assert dividends({A: 0.3, A | B: 0.4}).keys() == {A}


def test_portions_are_means_over_the_orders_in_which_factors_are_added():
    losses = {A: 0.3, B: 0.2, C: 0.1, A | B: 0.4, A | C: 0.4, B | C: 0.35, A | B | C: 0.6}
    found = portions(dividends(losses), "abc")
    slow = dict.fromkeys("abc", 0.0)
    for order in itertools.permutations("abc"):
        before = 0.0
        for n, name in enumerate(order, start=1):
            after = losses[frozenset(order[:n])]
            slow[name] += (after - before) / 6
            before = after
    assert found == pytest.approx(slow)
    assert sum(found.values()) == pytest.approx(0.6)


def test_portions_need_every_set():
    assert portions(dividends({A: 0.3, B: 0.2}), "ab") == {}


def decomposed(fates, cells, factors):
    matrices = projections(cells, factors)
    totals = {name: own.sum() for name, own in sums(fates, matrices).items()}
    return squares(totals, matrices)


def test_a_balanced_design_has_the_classical_sums_of_squares():
    # two features, two factors; cells: neither, a, b, both
    fates = np.array([[1.0, 0.8, 0.6, 0.2], [0.9, 0.5, 0.5, 0.1]])
    found = decomposed(fates, [frozenset(), A, B, A | B], "ab")
    # means: features .65, .5, all .575, cells .95 .65 .55 .15
    assert found[FEATURE] == pytest.approx(4 * (0.075**2 + 0.075**2))
    # with a .4, without .75: 8 fates, each 0.175 off
    assert found["a"] == pytest.approx(8 * 0.175**2)
    # with b .35, without .8
    assert found["b"] == pytest.approx(8 * 0.225**2)
    # (.95 - .65 - .55 + .15) / 4 = -.025 in each
    assert found[INTERACTIONS] == pytest.approx(8 * 0.025**2)
    # what a does: of the first feature .5 - .8 = -.3, of the second .3 - .7 = -.4
    # so each profile is off by half of half of .1 from the mean one
    assert found["feature with a"] == pytest.approx(8 * 0.025**2)
    # b: .4 - .9 = -.5 and .3 - .7 = -.4
    assert found["feature with b"] == pytest.approx(8 * 0.025**2)
    # a and b: (1 - .8 - .6 + .2) / 4 = -.05 and (.9 - .5 - .5 + .1) / 4 = 0
    assert found[REST] == pytest.approx(8 * 0.025**2)
    assert sum(found.values()) == pytest.approx(((fates - fates.mean()) ** 2).sum())


def test_without_a_cell_factors_share_what_either_could_have():
    # one profile in cells a, b and both; the mean is 0.5
    fates = np.array([[0.6, 0.6, 0.3], [0.6, 0.6, 0.3]])
    found = decomposed(fates, [A, B, A | B], "ab")
    # all: 2 (.1^2 + .1^2 + .2^2) = .12. a alone: with .45, without .6:
    # 2 (.05^2 + .1^2 + .05^2) = .03; b adds the rest of .12, .09; and the other way round
    assert found["a"] == pytest.approx((0.03 + 0.09) / 2)
    assert found["b"] == pytest.approx((0.03 + 0.09) / 2)
    for name in (FEATURE, INTERACTIONS, "feature with a", "feature with b", REST):
        assert found[name] == pytest.approx(0.0, abs=1e-12)


def test_cells_that_differ_in_the_same_are_the_rest():
    # cells: a, a, b
    found = decomposed(np.array([[0.2, 0.4, 0.6], [0.2, 0.4, 0.6]]), [A, A, B], "ab")
    # the mean .4; a .3, b .6: 2 (2 * .1^2 + .2^2); within a: 2 (.1^2 + .1^2)
    assert found["a"] + found["b"] == pytest.approx(2 * (2 * 0.01 + 0.04))
    assert found["a"] == pytest.approx(found["b"])
    assert found[REST] == pytest.approx(2 * 0.02)


@pytest.mark.parametrize("missing", [0, 1])
def test_numbers_of_no_meaning_have_the_shares_of_their_degrees_of_freedom(missing):
    rng = np.random.default_rng(0)
    cells = [frozenset(), *subsets("abc")][missing:]
    fates = rng.normal(size=(400, len(cells)))
    found = decomposed(fates, cells, "abc")
    free = freedom(400, projections(cells, "abc"))
    assert sum(free.values()) == pytest.approx(fates.size - 1)
    assert free.keys() == found.keys()
    for name in (FEATURE, "feature with a", "feature with c", REST):  # of many degrees
        assert found[name] == pytest.approx(free[name], rel=0.2)
    assert free["a"] == pytest.approx(1.0)


def test_drawn_sums_give_a_number_per_draw():
    fates = np.array([[1.0, 0.8, 0.6], [0.9, 0.5, 0.5]])
    matrices = projections([A, B, A | B], "ab")
    once = sums(fates, matrices)
    twice = {name: np.array([own.sum(), 2 * own.sum()]) for name, own in once.items()}
    found = squares(twice, matrices)
    assert all(own.shape == (2,) for own in found.values())
    assert found[FEATURE][1] == pytest.approx(2 * found[FEATURE][0])
