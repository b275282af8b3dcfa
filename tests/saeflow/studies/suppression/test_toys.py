"""Toys are what they say, and training them gives what the theory says."""

from __future__ import annotations

import numpy as np
import pytest

from saeflow.studies.suppression import toys
from saeflow.studies.suppression.theory import learned_activation, learned_activations
from saeflow.studies.suppression.toys import ENCODER, WITH_BIAS, Features, overlapping, presence

D, C = 16, 0.1  # c d / 2 = 0.8


def features(g, p, directions, n_tokens=500):
    z = presence([p] * len(g), n_tokens, np.random.default_rng(1))
    return Features(z, np.array(g, dtype=float), directions)


def test_each_feature_is_there_on_its_share_of_the_tokens():
    z = presence([0.1, 0.25], 400, np.random.default_rng(0))
    np.testing.assert_array_equal(z.sum(0), [40, 100])
    # independent: a quarter of the 40, give or take chance
    assert 2 < (z[:, 0] * z[:, 1]).sum() < 20


@pytest.mark.parametrize("overlap", [0.0, 0.3])
def test_any_two_directions_have_the_wanted_cosine(overlap):
    W = overlapping(4, 6, overlap)
    np.testing.assert_allclose(W @ W.T, np.where(np.eye(4), 1.0, overlap), atol=1e-12)


def test_what_a_toy_knows_of_itself_is_what_its_tokens_have():
    z = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    toy = Features(z, np.array([2.0, 3.0]), np.eye(3)[:2])
    np.testing.assert_array_equal(toy.p, [0.75, 0.25])
    np.testing.assert_array_equal(toy.together, [[0.75, 0.25], [0.25, 0.25]])
    np.testing.assert_array_equal(toy.x.numpy()[:3], [[2, 3, 0], [2, 0, 0], [0, 0, 0]])
    f = np.array([[1.0, 5.0], [2.0, 9.0], [9.0, 9.0], [3.0, 9.0]])
    np.testing.assert_array_equal(toy.mean_where_there(f), [2.0, 5.0])


@pytest.mark.parametrize("trained", [ENCODER, WITH_BIAS], ids=["encoder", "with b_dec"])
def test_the_librarys_own_training_step_finds_the_predicted_activation(trained):
    """Within 2 %, just above the border too; what lies below it dies."""
    toy = features([0.5, 1.2, 2.0, 5.0], 0.3, np.eye(D)[:4])
    f = toys.train(toy, C, trained)
    expected = learned_activation(toy.g, C, D, toy.p, bias="b_dec" in trained)
    assert expected[0] == 0 < expected[1]
    found = toy.mean_where_there(f)
    np.testing.assert_allclose(found[1:], expected[1:], rtol=0.02)
    assert found[0] == 0
    assert (f * (1 - toy.z)).max() < 0.02 * expected[1]  # silent without their feature


def test_a_whole_sae_of_rare_features_and_a_small_penalty_finds_it_too():
    toy = features([1.0, 3.0, 5.0], 0.1, np.eye(D)[:3])
    found = toy.mean_where_there(toys.train(toy, C / 5, toys.EVERYTHING))
    expected = learned_activation(toy.g, C / 5, D, toy.p, bias=True)
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert expected[0] < 0.85  # of 1: the penalty is not too small to be seen


def test_a_trained_bias_makes_a_difference_that_the_test_above_would_see():
    frozen, moving = (learned_activation(2.0, C, D, 0.3, bias=bias) for bias in (False, True))
    assert moving < 0.8 * frozen


def test_sizes_of_features_that_interfere_are_as_predicted():
    toy = features([1.0, 2.0, 3.0, 5.0], 0.2, overlapping(4, D, 0.4))
    expected = learned_activations(toy.g, toy.p, toy.directions, C, together=toy.together)
    apart = learned_activation(toy.g, C, D)
    assert (expected > 1.02 * apart).all()  # the overlap matters
    np.testing.assert_allclose(toys.train_sizes(toy, C), expected, rtol=0.02)


def test_an_encoder_makes_latents_that_interfere_no_larger_than_fixed_sizes():
    toy = features([1.0, 2.0, 3.0, 5.0], 0.2, overlapping(4, D, 0.4))
    found = toy.mean_where_there(toys.train(toy, C, ENCODER))
    expected = learned_activations(toy.g, toy.p, toy.directions, C, together=toy.together)
    assert (found <= expected * 1.001).all() and (found > 0.8 * expected).all()
