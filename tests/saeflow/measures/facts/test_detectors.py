"""The latents that tell a fact, found again by trying everything."""

import itertools

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import f1_score, roc_auc_score

from saeflow.measures.facts.detectors import (
    LEAST_GAIN,
    Detector,
    Latents,
    auc,
    best_threshold,
    detectors,
    f1_of,
)

N, D, FACTS = 400, 12, 3


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    holds = rng.random((FACTS, N)) < np.array([[0.3], [0.1], [0.5]])
    codes = rng.random((N, D)) * (rng.random((N, D)) < 0.3)
    codes[:, 0] += holds[0] * rng.random(N) * 2  # half of a fact each, and noise
    codes[: N // 2, 1] += 2 * holds[1, : N // 2]
    codes[N // 2 :, 2] += 2 * holds[1, N // 2 :]
    codes[:, 3] = 0
    codes = codes.round(1)  # ties
    return codes, holds


def made(codes, holds):
    return Latents(sparse.csr_array(codes), sparse.csr_array(holds.astype(float)))


def test_scores_of_all_latents_are_those_of_dense_arrays(data):
    codes, holds = data
    latents = made(codes, holds)
    for fact, latent in itertools.product(range(FACTS), range(D)):
        expected = f1_score(holds[fact], codes[:, latent] > 0)
        assert latents.f1[fact, latent] == pytest.approx(expected)
        r = np.corrcoef(holds[fact], codes[:, latent])[0, 1] if latent != 3 else 0
        assert latents.correlation[fact, latent] == pytest.approx(r)


def by_trying(codes, labels, covered):
    """Return the best latent and threshold beside what fires anyway, and the F1, by trying all."""
    found = []
    for latent in range(codes.shape[1]):
        for value in np.unique(codes[codes[:, latent] > 0, latent]):
            fired = covered | (codes[:, latent] >= value)
            found.append((f1_score(labels, fired), -latent, value))
    return max(found)


def test_latents_that_tell_a_fact_are_those_of_a_search_through_all(data):
    codes, holds = data
    for fact in range(FACTS):
        found = detectors(made(codes, holds), fact)
        covered, before = np.zeros(N, dtype=bool), -1.0
        for one in found:
            f1, minus_latent, value = by_trying(codes, holds[fact], covered)
            assert (one.latent, one.f1) == (-minus_latent, pytest.approx(f1))
            np.testing.assert_array_equal(
                codes[:, one.latent] > one.threshold, codes[:, one.latent] >= value
            )
            assert f1 >= before + LEAST_GAIN
            covered, before = covered | (codes[:, one.latent] >= value), f1
        assert by_trying(codes, holds[fact], covered)[0] < before + LEAST_GAIN
    assert {one.latent for one in detectors(made(codes, holds), 1)} == {1, 2}


def test_a_fact_of_two_halves_is_told_by_two_latents():
    holds = np.array([[1, 1, 1, 1, 0, 0, 0, 0]], dtype=bool)
    codes = np.zeros((8, 2))
    codes[:2, 0], codes[2:4, 1] = 5.0, 3.0
    codes[4, 0] = 1.0
    found = detectors(made(codes, holds), 0)
    assert [one.latent for one in found] == [1, 0]  # 0 has a false alarm where it is just active
    assert [one.threshold for one in found] == [1.5, 3.0]  # between 3 and 0; between 5 and 1
    assert [one.f1 for one in found] == pytest.approx([2 * 2 / (2 + 4), 1.0])


def test_candidates_are_the_best_by_either_score():
    rng = np.random.default_rng(1)
    codes = rng.random((N, 60)) * (rng.random((N, 60)) < 0.2)
    codes[:, 50] = 1.0  # always active, and a little more where the fact holds
    holds = rng.random((1, N)) < 0.2
    codes[holds[0], 50] += 0.5
    latents = made(codes, holds)
    (own,) = latents.candidates
    by_f1, by_r = np.argsort(-latents.f1[0])[:4], np.argsort(-latents.correlation[0])[:16]
    assert set(own) == {*by_f1.tolist(), *by_r.tolist()} and len(own) == len(set(own))
    assert detectors(latents, 0)[0] == Detector(50, 1.25, 1.0)


def test_a_threshold_lies_between_values_and_equal_ones_stay_together():
    falling, labels = np.array([4.0, 3.0, 3.0, 1.0]), np.array([True, True, False, True])
    # fires on 1: 2/(1+3); on 3: 2*2/(3+3); on 4: 2*3/(4+3)
    assert best_threshold(falling, labels, 3, lowest=0.0) == (0.5, pytest.approx(6 / 7))
    threshold, f1 = best_threshold(falling, labels & [1, 1, 1, 0] > 0, 2, lowest=0.0)
    assert (threshold, f1) == (2.0, pytest.approx(2 * 2 / (3 + 2)))
    assert best_threshold(falling, labels, 3, lowest=-np.inf)[0] == -np.inf


def test_a_latent_that_is_never_active_tells_nothing():
    assert best_threshold(np.empty(0), np.empty(0, bool), 3, lowest=0.0) == (0.0, 0.0)
    (only,) = detectors(made(np.zeros((4, 2)), np.array([[1, 0, 0, 0]], dtype=bool)), 0)
    assert only.f1 == 0


@pytest.mark.parametrize("latent", [0, 3, 5])
def test_auc_is_that_of_scikit_learn_with_ties(data, latent):
    codes, holds = data
    tokens, values = made(codes, holds).falling(latent)
    assert (np.diff(values) <= 0).all()
    found = auc(values, holds[0, tokens], int(holds[0].sum()), N)
    assert found == pytest.approx(roc_auc_score(holds[0], codes[:, latent]))


def test_f1_is_that_of_precision_and_recall():
    hits, fired, positive = 3, 4, 6
    precision, recall = hits / fired, hits / positive
    assert f1_of(hits, fired, positive) == pytest.approx(
        2 * precision * recall / (precision + recall)
    )
