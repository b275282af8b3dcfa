"""One latent to one: against all assignments of a few, and the way for many against that of few."""

from itertools import permutations

import numpy as np
import pytest

from saeflow.measures.similarity.assignment import one_to_one
from saeflow.measures.similarity.best import best
from saeflow.measures.similarity.cosines import Cosines, unit

ALL, FEW = {"limit": 4096, "candidates": 3}, {"limit": 0, "candidates": 3}


def similar(n, m, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return Cosines(unit(rng.standard_normal((n, d))), unit(rng.standard_normal((m, d))))


@pytest.mark.parametrize("shape", [(5, 5), (3, 6), (6, 3), (1, 4)])
def test_the_assignment_is_the_best_of_all(shape):
    cosines = similar(*shape)
    every = cosines.a @ cosines.b.T
    wide = every if shape[0] <= shape[1] else every.T
    sums = [
        (sum(wide[i, j] for i, j in enumerate(order)), order)
        for order in permutations(range(wide.shape[1]), wide.shape[0])
    ]
    most, order = max(sums)
    found = one_to_one(cosines, **ALL)
    few, many = found if shape[0] <= shape[1] else found[::-1]
    assert few.match.tolist() == list(order)
    assert few.value.sum() == pytest.approx(most, abs=1e-6)
    left = sorted({*range(wide.shape[1])} - {*order})
    assert np.flatnonzero(many.match == -1).tolist() == left
    assert np.flatnonzero(np.isnan(many.value)).tolist() == left
    assert [many.match[j] for j in order] == list(range(wide.shape[0]))


@pytest.mark.parametrize("shape", [(60, 60), (40, 90), (90, 40)])
def test_among_candidates_each_of_the_fewer_has_a_partner_of_its_own(shape):
    cosines = similar(*shape, d=12)
    found, exact = one_to_one(cosines, **FEW), one_to_one(cosines, **ALL)
    few, best_of_all = (pair[int(shape[0] > shape[1])] for pair in (found, exact))
    assert len({*few.match}) == 40 + 20 * (shape == (60, 60)) and -1 not in few.match
    total = best_of_all.value.sum()
    assert 0.95 * total < few.value.sum() <= total + 1e-6
    many = {"limit": 0, "candidates": 30}
    again = one_to_one(cosines, **many)[int(shape[0] > shape[1])]
    assert again.value.sum() == pytest.approx(total)


def test_latents_that_all_want_the_same_one_are_assigned_among_what_is_left():
    # six rows near the first column; the only candidate of each is that one
    b = unit(np.eye(8))
    a = unit(np.eye(8)[0] + 0.1 * np.random.default_rng(0).random((6, 8)))
    rows, columns = one_to_one(Cosines(a, b), limit=0, candidates=1)
    assert len({*rows.match}) == 6 and -1 not in rows.match
    assert (columns.match == -1).sum() == 2


def test_a_permuted_copy_is_assigned_to_itself():
    a = similar(50, 1).a
    order = np.random.default_rng(1).permutation(50)
    for limits in (ALL, FEW):
        rows, columns = one_to_one(Cosines(a, a[order]), **limits)
        assert order[rows.match].tolist() == list(range(50))
        np.testing.assert_allclose(columns.value, 1.0, atol=1e-6)


@pytest.mark.parametrize("limits", [ALL, FEW])
def test_exchanged_sides_exchange_the_partners(limits):
    cosines = similar(30, 45)
    found, turned = one_to_one(cosines, **limits), one_to_one(Cosines(*cosines[::-1]), **limits)
    for one, other in zip(found, turned[::-1], strict=True):
        assert one.match.tolist() == other.match.tolist()
        assert one.value.tobytes() == other.value.tobytes()


def test_no_partner_is_better_than_the_best_match():
    cosines = similar(40, 25)
    for free, partners in zip(best(cosines), one_to_one(cosines, **ALL), strict=True):
        there = partners.match >= 0
        assert (partners.value[there] <= free.value[there] + 1e-12).all()
