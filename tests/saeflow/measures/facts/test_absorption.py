"""Probes are least squares, and absorbed tokens are those where another latent stands in."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from saeflow.measures.facts import absorption
from saeflow.measures.facts.absorption import Absorption, fit_probes


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    holds = rng.random((2, 900)) < 0.3
    x = rng.normal(size=(900, 5)) * [1, 10, 0.1, 1, 3] + 100
    x[:, 1] += 20 * holds[0]
    x[:, 3] += 2 * holds[1] - holds[0]
    return x.astype(np.float32), holds


def test_a_probe_has_the_direction_of_a_ridge_regression(data, monkeypatch):
    monkeypatch.setattr(absorption, "_BLOCK_ROWS", 128)  # several blocks, the last a short one
    x, holds = data
    probes = fit_probes(x, sparse.csr_array(holds.astype(float)))
    scale = x.std(axis=0, dtype=np.float64)
    for fact in range(2):
        fitted = Ridge(alpha=1e-3 * len(x)).fit((x - x.mean(0)) / scale, holds[fact])
        expected = fitted.coef_ / scale
        expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(probes.directions[:, fact], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(probes.mean, x.mean(0, dtype=np.float64))
    scores = probes.scores(x)
    np.testing.assert_allclose(scores[1], (x - probes.mean) @ probes.directions[:, 1], rtol=1e-6)
    found = probes.find(scores)
    assert (found[0] == holds[0]).mean() > 0.7
    # no other threshold has a higher F1 on these rows
    for fact in range(2):
        own = 2 * (found[fact] & holds[fact]).sum() / (found[fact].sum() + holds[fact].sum())
        for threshold in np.linspace(scores[fact].min(), scores[fact].max(), 50):
            fired = scores[fact] > threshold
            other = 2 * (fired & holds[fact]).sum() / (fired.sum() + holds[fact].sum())
            assert other <= own + 1e-12


def test_a_direction_without_variance_is_no_obstacle(data):
    x, holds = data
    flat = np.hstack([x, np.ones((len(x), 1), np.float32)])
    probes = fit_probes(flat, sparse.csr_array(holds.astype(float)))
    assert np.isfinite(probes.directions).all() and not probes.directions[5].any()


def test_absorbed_tokens_by_hand():
    # p is the first axis. Latents: along p; across; nearly across, but long; against p
    W_dec = np.array([[1.0, 0], [0, 1], [0.2, 100], [-1, 0]])
    cosines = W_dec[:, 0] / np.linalg.norm(W_dec, axis=1)
    assert cosines[2] < absorption.LEAST_COSINE < cosines[0]
    codes = np.array(
        [
            [0.4, 0, 0, 0],  # gives 0.4 of 1: enough
            [0.39, 0, 0, 0],  # too little
            [0, 5, 0, 0],  # at right angles
            [0, 0, 9, 0],  # gives 1.8, but is not aligned
            [2.0, 0, 0, 0],  # the score is below zero
            [0.5, 0, 0, 3],  # what works against it does not matter
        ]
    )
    scores = np.array([1, 1, 1, 1, -1, 1.0])
    found = Absorption(sparse.csr_array(codes), W_dec, np.array([[1.0], [0.0]]))
    tokens, latents = found.of(0, np.arange(6), scores)
    assert (tokens.tolist(), latents.tolist()) == ([0, 5], [0, 0])
    tokens, _ = found.of(0, np.array([5, 1]), scores[[5, 1]])
    assert tokens.tolist() == [5]
    assert not len(found.of(0, np.empty(0, int), np.empty(0))[0])


def test_the_latent_that_gives_most_stands_in():
    W_dec = np.array([[1.0], [3.0], [1.0]])
    codes = sparse.csr_array(np.array([[1.0, 0.5, 0.9], [1.0, 0.1, 1.0]]))
    _, latents = Absorption(codes, W_dec, np.ones((1, 1))).of(0, np.arange(2), np.ones(2))
    assert latents.tolist() == [1, 0]  # 1.5 of 1; of two equal ones the first
