import numpy as np
import pytest

from saeflow.metrics import intervals
from saeflow.metrics.intervals import Estimate, form, interval, resample, totals_and_draws
from saeflow.metrics.metric import ratio

mean = ratio("total", "tokens")


def estimated(formula, documents, *, samples=100, seed=0, **constants):
    both = totals_and_draws(documents, samples, seed)
    return form(formula, *(sums | constants for sums in both))


def test_value_is_the_ratio_of_all_sums():
    documents = {"total": np.array([1.0, 9.0]), "tokens": np.array([1.0, 3.0])}
    assert estimated(mean, documents).value == 2.5


def test_interval_of_two_documents_is_spanned_by_drawing_one_of_them_twice():
    # Draws: (0,0) 1/4, (0,1) 1/2, (1,1) 1/4; so the 2.5 % quantile is 1 and the 97.5 % one 3.
    documents = {"total": np.array([1.0, 9.0]), "tokens": np.array([1.0, 3.0])}
    found = estimated(mean, documents, samples=2000)
    assert (found.low, found.high) == (1.0, 3.0)


def test_interval_has_the_width_that_theory_gives():
    rng = np.random.default_rng(0)
    n = 400
    documents = {"total": rng.normal(size=n), "tokens": np.ones(n)}
    found = estimated(mean, documents, samples=4000, seed=1)
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


@pytest.fixture
def counted(monkeypatch):
    """Return what was drawn: (number of documents, resamples, seed)."""
    intervals._kept.cache_clear()
    found, draw = [], intervals._counted
    monkeypatch.setattr(intervals, "_counted", lambda *a: found.append(a) or draw(*a))
    yield found
    intervals._kept.cache_clear()


def test_draws_are_made_once_for_measurements_on_as_many_documents(counted):
    for n in (10, 10, 12, 10):
        resample({"a": np.arange(float(n))}, samples=40, seed=0)
    resample({"a": np.arange(10.0)}, samples=40, seed=1)
    assert counted == [(10, 40, 0), (12, 40, 0), (10, 40, 1)]


def test_draws_depend_neither_on_their_blocks_nor_on_being_kept(monkeypatch, counted):
    documents = {"a": np.arange(10.0)}
    whole = resample(documents, samples=40, seed=0)["a"]
    monkeypatch.setattr(intervals, "_BLOCK_COUNTS", 30)
    monkeypatch.setattr(intervals, "_KEPT_COUNTS", 399)
    np.testing.assert_array_equal(resample(documents, samples=40, seed=0)["a"], whole)
    resample(documents, samples=40, seed=0)
    assert len(counted) == 3


def test_a_draw_is_of_as_many_documents_with_replacement():
    """Of 0, 1, 10, 100, ... a sum shows how often each was drawn."""
    sums = resample({"a": 10.0 ** np.arange(5)}, samples=500, seed=0)["a"]
    digits = np.array([[int(d) for d in f"{int(total):05d}"] for total in sums])
    assert (digits.sum(1) == 5).all()
    assert digits.mean(0) == pytest.approx(1, abs=0.15)
    assert (digits == 0).mean() == pytest.approx(0.8**5, abs=0.05)


def test_one_document_has_no_interval():
    documents = {"total": np.array([4.0]), "tokens": np.array([2.0])}
    assert estimated(mean, documents) == Estimate(2.0, None, None)


def test_an_undefined_ratio_is_none_not_nan():
    documents = {"total": np.zeros(3), "tokens": np.zeros(3)}
    assert estimated(mean, documents) == Estimate(None, None, None)


def test_constants_are_not_summed():
    documents = {"total": np.ones(3), "tokens": np.ones(3)}
    found = estimated(lambda s: s["total"] / s["tokens"] / s["d_in"], documents, d_in=2.0)
    assert found == Estimate(0.5, 0.5, 0.5)


def test_a_number_of_constants_alone_has_no_interval():
    documents = {"total": np.arange(3.0)}
    fired = np.array([2, 0, 0, 1])
    found = estimated(lambda s: (s["fired"] == 0).mean(-1), documents, fired=fired)
    assert found == Estimate(0.5, None, None)


def test_no_interval_is_formed_where_nothing_was_resampled():
    totals = {"total": np.float64(6), "tokens": np.float64(3)}
    assert form(mean, totals, {}) == Estimate(2.0, None, None)


def test_interval_is_the_central_95_percent():
    assert interval(np.arange(1001.0)) == pytest.approx((25, 975))


def test_interval_of_nothing_is_none():
    assert interval(np.empty(0)) == (None, None)
