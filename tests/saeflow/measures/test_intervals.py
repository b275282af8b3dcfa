import numpy as np
import pytest

from saeflow.measures.intervals import Estimate, estimates, interval, resample


def mean(sums):
    return sums["total"] / sums["tokens"]


def test_value_is_the_ratio_of_all_sums():
    documents = {"total": np.array([1.0, 9.0]), "tokens": np.array([1.0, 3.0])}
    found = estimates({"mean": mean}, documents, constants={}, samples=100, seed=0)
    assert found["mean"].value == 2.5


def test_interval_of_two_documents_is_spanned_by_drawing_one_of_them_twice():
    # Draws: (0,0) 1/4, (0,1) 1/2, (1,1) 1/4; so the 2.5 % quantile is 1 and the 97.5 % one 3.
    documents = {"total": np.array([1.0, 9.0]), "tokens": np.array([1.0, 3.0])}
    found = estimates({"mean": mean}, documents, constants={}, samples=2000, seed=0)["mean"]
    assert (found.low, found.high) == (1.0, 3.0)


def test_interval_has_the_width_that_theory_gives():
    rng = np.random.default_rng(0)
    n = 400
    documents = {"total": rng.normal(size=n), "tokens": np.ones(n)}
    found = estimates({"mean": mean}, documents, constants={}, samples=4000, seed=1)["mean"]
    expected = 2 * 1.96 * documents["total"].std() / np.sqrt(n)
    assert found.high - found.low == pytest.approx(expected, rel=0.08)
    assert found.low < found.value < found.high


def test_resampling_keeps_the_number_of_documents():
    sums = resample({"n": np.ones(7)}, samples=50, seed=0)
    assert (sums["n"] == 7).all()


def test_the_draws_are_those_of_the_seed():
    first, again, other = (
        resample({"a": np.arange(9.0)}, samples=50, seed=s)["a"] for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_two_saes_on_the_same_documents_share_their_draws():
    first = resample({"a": np.arange(9.0)}, samples=20, seed=0)["a"]
    second = resample({"a": np.arange(9.0) + 1, "b": np.ones(9)}, samples=20, seed=0)["a"]
    np.testing.assert_allclose(second - first, 9)


def test_draws_do_not_depend_on_their_blocks(monkeypatch):
    documents = {"a": np.arange(10.0)}
    whole = resample(documents, samples=40, seed=0)["a"]
    monkeypatch.setattr("saeflow.measures.intervals._BLOCK_COUNTS", 30)
    np.testing.assert_array_equal(resample(documents, samples=40, seed=0)["a"], whole)


def test_one_document_has_no_interval():
    documents = {"total": np.array([4.0]), "tokens": np.array([2.0])}
    found = estimates({"mean": mean}, documents, constants={}, samples=100, seed=0)
    assert found["mean"] == Estimate(2.0, None, None)


def test_an_undefined_ratio_is_none_not_nan():
    documents = {"total": np.zeros(3), "tokens": np.zeros(3)}
    found = estimates({"mean": mean}, documents, constants={}, samples=100, seed=0)
    assert found["mean"] == Estimate(None, None, None)


def test_constants_are_not_summed():
    documents = {"total": np.ones(3), "tokens": np.ones(3)}
    found = estimates(
        {"m": lambda s: s["total"] / s["tokens"] / s["d_in"]},
        documents,
        constants={"d_in": 2.0},
        samples=100,
        seed=0,
    )
    assert found["m"] == Estimate(0.5, 0.5, 0.5)


def test_interval_is_the_central_95_percent():
    assert interval(np.arange(1001.0)) == pytest.approx((25, 975))


def test_interval_of_nothing_is_none():
    assert interval(np.empty(0)) == (None, None)
