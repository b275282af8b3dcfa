"""Linear probes against what can be computed by hand, and against the conditions of a minimum."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from saeflow.measures.probes.linear_probe import INVERSE_PENALTY, Probe, answers, fit_probe


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def drawn(rng):
    """Inputs off the origin, of columns of unlike sizes, and classes drawn from a linear model."""
    z = rng.normal(size=(3000, 3))
    logits = z @ np.array([[2.0, 0, -2.0], [0, 1.5, 0], [0, 0, 0]])
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    return z * [1.0, 10.0, 0.1] + [100.0, 0.0, -3.0], labels


@pytest.fixture
def latents(rng, drawn):
    """Sparse inputs that tell the classes, one of which is never active."""
    f = np.maximum(rng.normal(size=(3000, 5)), 0) * (rng.random((3000, 5)) < 0.4)
    f[np.arange(3000), drawn[1]] += 1
    return np.column_stack([f, np.zeros(3000)])


def test_losses_are_those_computed_by_hand():
    # The second class is three times as likely as the first where the first column is one.
    probe = Probe(np.array([[0.0, 5.0], [np.log(3), 5.0]]), np.zeros(2))
    x = np.array([[1.0, 7.0], [1.0, -7.0], [0.0, 0.0]])
    found = probe.answers(x, np.array([1, 0, 0]))
    np.testing.assert_allclose(found["loss"], [np.log(4 / 3), np.log(4), np.log(2)])
    assert found["correct"].tolist() == [1, 0, 1]  # of equals the first is taken
    sparse = probe.answers(csr_matrix(x), np.array([1, 0, 0]))
    np.testing.assert_array_equal(sparse["loss"], found["loss"])


def test_a_bias_is_a_logit_without_input():
    probe = Probe(np.zeros((3, 2)), np.log([1.0, 2.0, 5.0]))
    found = probe.answers(np.ones((2, 2)), np.array([2, 0]))
    np.testing.assert_allclose(found["loss"], [np.log(8 / 5), np.log(8)])


def test_chances_of_shares_are_their_logarithms():
    found = answers(np.log(np.tile([0.25, 0.5, 0.25], (2, 1))), np.array([1, 2]))
    np.testing.assert_allclose(found["loss"], np.log([2, 4]))
    assert found["correct"].tolist() == [1, 0]


def gradient(probe, x, labels, *, mean, scale):
    """Return the gradient of the penalised loss in weights of (x - mean) / scale, and in the bias.

    Per row; the solver stops at 1e-4, and without a fit it is of order 0.1.
    """
    wrong = np.exp(probe.log_probabilities(x))
    wrong[np.arange(len(labels)), labels] -= 1
    of_weights = wrong.T @ ((x - mean) / scale) + probe.weights * scale / INVERSE_PENALTY
    return np.abs(of_weights).max() / len(x), np.abs(wrong.sum(0)).max() / len(x)


def test_a_probe_is_at_the_minimum_of_the_penalised_loss_of_standardised_inputs(drawn):
    x, labels = drawn
    assert max(gradient(fit_probe(x, labels), x, labels, mean=x.mean(0), scale=x.std(0))) < 2e-4


def test_latents_are_divided_by_their_root_mean_square_and_one_never_active_counts_for_nothing(
    latents, drawn
):
    labels = drawn[1]
    probe = fit_probe(csr_matrix(latents), labels)
    assert (probe.weights[:, -1] == 0).all()
    rms = np.sqrt((latents**2).mean(0))
    rms[-1] = 1.0
    assert max(gradient(probe, latents, labels, mean=0.0, scale=rms)) < 2e-4


def test_the_loss_is_near_that_of_the_model_that_drew_the_classes(drawn):
    x, labels = drawn
    z = (x - [100.0, 0.0, -3.0]) / [1.0, 10.0, 0.1]
    truth = Probe(np.array([[2.0, 0, 0], [0, 1.5, 0], [-2.0, 0, 0]]), np.zeros(3))
    best = truth.answers(z, labels)["loss"].mean()
    found = fit_probe(x, labels).answers(x, labels)["loss"].mean()
    assert found == pytest.approx(best, abs=0.01)
    assert best < 0.8 * np.log(3)


def test_what_a_probe_reads_does_not_depend_on_units(drawn, latents):
    x, labels = drawn
    there = fit_probe(x, labels).log_probabilities(x)
    y = x * [5.0, 0.1, -2.0] + [1.0, 2.0, 3.0]
    np.testing.assert_allclose(fit_probe(y, labels).log_probabilities(y), there, atol=1e-3)
    there = fit_probe(csr_matrix(latents), labels).log_probabilities(latents)
    y = csr_matrix(latents * [5.0, 0.1, 2.0, 1.0, 3.0, 1.0])
    np.testing.assert_allclose(fit_probe(y, labels).log_probabilities(y), there, atol=1e-3)


def test_a_column_that_does_not_vary_is_no_reason_to_fail(drawn):
    x, labels = drawn
    with_constant = np.column_stack([x, np.full(len(x), 7.0)])
    found = fit_probe(with_constant, labels).log_probabilities(with_constant)
    np.testing.assert_allclose(found, fit_probe(x, labels).log_probabilities(x), atol=1e-3)


def test_two_classes_are_read_like_many(drawn):
    x, labels = drawn
    two = (labels > 0).astype(int)
    probe = fit_probe(x, two)
    assert probe.weights.shape == (2, 3) and probe.bias.shape == (2,)
    log_p = probe.log_probabilities(x)
    assert np.exp(log_p[:, 1]).mean() == pytest.approx(two.mean(), abs=1e-3)
    assert probe.answers(x, two)["correct"].mean() > 0.7


def test_shrinking_inputs_costs_loss_and_no_answer_where_there_is_no_bias(drawn):
    x, labels = drawn
    x = x - x.mean(0)
    probe = fit_probe(x, labels)._replace(bias=np.zeros(3))
    before, after = (probe.answers(x * size, labels) for size in (1.0, 0.1))
    np.testing.assert_array_equal(before["correct"], after["correct"])
    assert after["loss"].mean() > before["loss"].mean() + 0.1
    assert after["loss"].mean() < np.log(3)
