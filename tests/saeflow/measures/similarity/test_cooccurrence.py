"""Correlations of sparse codes against NumPy's of dense ones."""

import numpy as np
import pytest
import torch

from saeflow.measures.codes import by_latent, by_token
from saeflow.measures.similarity import cooccurrence
from saeflow.measures.similarity.best import hold
from saeflow.measures.similarity.cooccurrence import Correlations, exchanged
from stored_codes import stored

N = 300

SPARSE = {"_CELLS_PER_PAIR": 0}
WAYS = {
    "sparse": SPARSE,
    "blocks": {**SPARSE, "_PAIRS_PER_SUM": 1e-3, "_BLOCK": 40},
    "dense": {"_CELLS_PER_PAIR": 10**9},
}

pytestmark = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture(autouse=True)
def products(monkeypatch, way):
    """Form all products in one way, whatever is faster."""
    for name, value in way.items():
        monkeypatch.setattr(cooccurrence, name, value)


def sparse(seed, d, share=0.2, n=N):
    rng = np.random.default_rng(seed)
    values = rng.gamma(2.0, size=(n, d)) * (rng.random((n, d)) < share)
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two SAEs with some latents in common; one of the first is as active everywhere."""
    one, other = sparse(0, 11), sparse(1, 9)
    other[:, 3] = 2 * one[:, 7] + 0.1 * other[:, 3]
    other[:, 0] = one[:, 2]
    one[:, 5] = 0.1
    root = tmp_path_factory.mktemp("pair")
    status = ["live"] * 11
    status[1], status[9] = "rare", "duplicate"
    codes = stored(root / "one", one, [100, 150, 50], status), stored(root / "other", other)
    return codes, (one[:, codes[0].live], other)


def hold_at_most(monkeypatch, entries):
    for module in (by_latent, by_token):
        monkeypatch.setattr(module, "MOST_ENTRIES", entries)


def dense(one, other):
    """Return the correlations (n, m) of the columns of two matrices, 0 where one is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.corrcoef(one.astype(np.float64), other.astype(np.float64), rowvar=False)
    found = found[: one.shape[1], one.shape[1] :]
    found[one.std(axis=0) < 1e-6] = 0
    return found


def whole(correlations, step=4):
    n, m = correlations.shape
    strips = [
        np.concatenate([correlations.tile(slice(i, min(i + step, n)), slice(j, min(j + step, m)))
                        for j in range(0, m, step)], axis=1)
        for i in range(0, n, step)
    ]  # fmt: skip
    return np.concatenate(strips)


@pytest.mark.parametrize("entries", [1 << 23, 200, 20])
@pytest.mark.parametrize("step", [4, 100])
def test_they_are_those_of_dense_codes(pair, monkeypatch, entries, step):
    hold_at_most(monkeypatch, entries)
    codes, matrices = pair
    expected = dense(*matrices)
    correlations = Correlations(*codes)
    assert correlations.shape == expected.shape == (9, 9)
    np.testing.assert_allclose(whole(correlations, step), expected, atol=1e-6)
    rows, columns = np.array([6, 0, 0, 8, 6, 4]), np.array([3, 8, 8, 0, 1, 2])
    values = correlations.values(rows, columns)
    np.testing.assert_allclose(values, expected[rows, columns], atol=1e-12)
    assert expected[6, 3] > 0.95 and not expected[4].any()
    part = correlations.part(np.array([6, 2]), np.array([8, 3, 0]))
    np.testing.assert_allclose(whole(part), expected[np.ix_([6, 2], [8, 3, 0])], atol=1e-6)


def test_bits_do_not_depend_on_threads_or_strips(pair, monkeypatch):
    codes, _ = pair
    found = [hold(Correlations(*codes)).matrix]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        found.append(hold(Correlations(*codes)).matrix)
    finally:
        torch.set_num_threads(threads)
    found += [whole(Correlations(*codes), step) for step in (1, 100)]
    monkeypatch.setattr(cooccurrence, "_SUMS", 20)
    found.append(whole(Correlations(*codes), 100))
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    found.append(whole(Correlations(*codes), 3))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_an_sae_against_itself_is_one(pair):
    codes = pair[0][1]
    correlations = Correlations(codes, codes)
    every = np.arange(9)
    np.testing.assert_allclose(correlations.values(every, every), 1.0, atol=1e-12)
    assert (whole(correlations).argmax(axis=1) == every).all()


def test_a_permuted_and_rescaled_copy_is_found(tmp_path):
    one, order = sparse(2, 30), np.random.default_rng(3).permutation(30)
    copy = one[:, order] * np.linspace(0.5, 4, 30, dtype=np.float32)
    correlations = Correlations(stored(tmp_path / "one", one), stored(tmp_path / "two", copy))
    found = whole(correlations, 8)
    assert (found.argmax(axis=0) == order).all() and (
        order[found.argmax(axis=1)] == range(30)
    ).all()
    np.testing.assert_allclose(correlations.values(order, np.arange(30)), 1.0, atol=1e-7)


def test_shuffled_tokens_give_what_chance_gives(tmp_path):
    """Of independent latents over n tokens a correlation has the deviation 1/sqrt(n)."""
    n = 4000
    one = stored(tmp_path, sparse(4, 60, n=n))
    found = whole(Correlations(one, one).shuffled(0), 16)
    assert np.abs(found).max() < 6 / np.sqrt(n)
    assert found.std() == pytest.approx(1 / np.sqrt(n), rel=0.1)
    assert abs(found.mean()) < 0.1 / np.sqrt(n)
    again, other = (whole(Correlations(one, one).shuffled(s), 60) for s in (0, 1))
    np.testing.assert_array_equal(found, again)
    assert not np.array_equal(found, other)


@pytest.mark.parametrize("n", [1, 2, 9, 300])
def test_each_token_is_exchanged_with_another_one(n):
    moved = exchanged(n, 3)
    assert moved[moved].tolist() == list(range(n))
    assert (moved == np.arange(n)).sum() == n % 2
    assert n < 9 or not np.array_equal(moved, exchanged(n, 4))


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("options", [{}, {"centred": False, "n_tokens": 70}])
def test_exchanged_sides_give_the_same_turned(pair, options, seed):
    codes, _ = pair
    one, other = Correlations(*codes, **options), Correlations(*codes[::-1], **options)
    if seed is not None:
        one, other = one.shuffled(seed), other.shuffled(seed)
    np.testing.assert_allclose(whole(one), whole(other).T, atol=1e-7)
    np.testing.assert_array_equal(whole(one.turned()), whole(other))


def test_it_is_the_second_whose_tokens_are_shuffled(pair, monkeypatch):
    codes, (one, other) = pair
    moved = exchanged(N, 7)
    expected = dense(one, other[moved])
    for entries in (1 << 23, 50):
        hold_at_most(monkeypatch, entries)
        shuffled = Correlations(*codes).shuffled(7)
        np.testing.assert_allclose(whole(shuffled), expected, atol=1e-6)
        rows, columns = np.array([0, 8]), np.array([5, 2])
        np.testing.assert_allclose(
            shuffled.values(rows, columns), expected[rows, columns], atol=1e-12
        )


def test_means_can_be_left_in_and_tokens_out(pair):
    codes, matrices = pair
    one, other = (matrix[:70].astype(np.float64) for matrix in matrices)
    cosines = (one.T @ other) / np.outer(*(np.linalg.norm(m, axis=0) for m in (one, other)))
    found = Correlations(*codes, centred=False, n_tokens=70)
    np.testing.assert_allclose(whole(found), cosines, atol=1e-6)
    np.testing.assert_allclose(
        whole(Correlations(*codes, n_tokens=70)), dense(one, other), atol=1e-6
    )
    np.testing.assert_allclose(
        whole(found.part(np.array([3]), np.array([5]))), cosines[3:4, 5:6], atol=1e-6
    )


@pytest.mark.parametrize("entries", [1 << 23, 90])
def test_sums_by_group_make_up_the_correlations(pair, monkeypatch, entries):
    hold_at_most(monkeypatch, entries)
    codes, (one, other) = pair
    borders = codes[0].groups(3)
    assert borders.tolist() == [0, 100, 250, 300]
    rows, columns = np.array([6, 0, 5, 5]), np.array([3, 8, 0, 0])
    found = Correlations(*codes).by_group(rows, columns, borders)
    f, g = one[:, rows].astype(np.float64), other[:, columns].astype(np.float64)
    expected = [(f * g)[a:b].sum(axis=0) for a, b in ((0, 100), (100, 250), (250, 300))]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
