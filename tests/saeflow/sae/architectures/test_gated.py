"""The gated step against plain autograd."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import PATHS, PRECISIONS, SHAPES, assert_step, batch_of, random_weights, run_step
from saeflow.sae.architectures import gated


def codes(w, inputs):
    """Return (gate, f) as the paper states them."""
    gate = torch.relu(inputs @ w["W_enc"] + w["b_gate"])
    magnitude = torch.relu(inputs @ (w["W_enc"] * w["r_mag"].exp()) + w["b_mag"])
    return gate, magnitude * (gate > 0)


def reference(x, options):
    """Return the loss as the module's docstring states it."""

    def loss(w):
        gate, f = codes(w, x - w["b_dec"] if options.subtract_b_dec else x)
        x_hat = f @ w["W_dec"] + w["b_dec"]
        x_gate = gate @ w["W_dec"].detach() + w["b_dec"].detach()
        errors = (x_hat - x).square().sum(1) + (x_gate - x).square().sum(1)
        return (errors + options.l1 * gate.sum(1)).mean()

    return loss


def random_sae(d_in, d_sae, seed, dtype):
    weights = random_weights(d_in, d_sae, seed=seed, dtype=dtype)
    g = torch.Generator().manual_seed(seed + 5)
    weights["b_gate"] = weights.pop("b_enc")
    for name, scale in (("b_mag", 0.3), ("r_mag", 0.5)):
        weights[name] = scale * torch.randn(d_sae, generator=g, dtype=dtype)
    return weights


@PATHS
@PRECISIONS
@given(
    shape=SHAPES, seed=st.integers(0, 999), subtract=st.booleans(), bias=st.floats(-3, 1),
    magnitude=st.floats(-2, 1),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_loss_and_gradients_agree_with_autograd(
    path, dtype, tolerance, shape, seed, subtract, bias, magnitude
):
    n, d_in, d_sae = shape
    weights = random_sae(d_in, d_sae, seed, dtype)
    weights["b_gate"] += bias
    weights["b_mag"] += magnitude
    x = batch_of(n, d_in, seed, dtype)
    options = gated.Settings(l1=0.3, subtract_b_dec=subtract)
    assert_step(reference(x, options), gated, weights, options, x, tolerance, path=path)


def test_terms_of_a_case_computed_by_hand(path):
    eye = torch.eye(2)
    weights = {"W_enc": eye.clone(), "b_gate": torch.tensor([-1.0, -1.0]), "W_dec": eye.clone(),
               "b_mag": torch.tensor([0.5, -3.0]), "r_mag": torch.tensor([2.0, 1.0]).log(),
               "b_dec": torch.zeros(2)}  # fmt: skip
    x = torch.tensor([[3.0, 0.0], [0.5, 2.0]])
    # gate = [[2, 0], [0, 1]]; magnitudes = relu([[6.5, -3], [1.5, -1]]); f = [[6.5, 0], [0, 0]]
    # x_hat - x = [[3.5, 0], [-.5, -2]]; x_gate - x = [[-1, 0], [-.5, -1]]
    terms, _ = run_step(gated, weights, gated.Settings(l1=0.5), x)
    assert terms.error == pytest.approx(12.25 + 0.25 + 4)
    assert terms.penalty == pytest.approx(0.5 * 3 / 2 + (1 + 0.25 + 1) / 2)
    assert terms.loss == pytest.approx(16.5 / 2 + terms.penalty)
    assert terms.n_active == 1 and terms.fired.tolist() == [True, False]


def test_the_penalty_and_the_gates_reconstruction_leave_decoder_and_magnitudes_alone(path):
    weights = random_sae(5, 12, 1, torch.float64)
    x = torch.randn(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    some, more = (
        run_step(gated, weights, gated.Settings(l1=l1, subtract_b_dec=False), x)[1]
        for l1 in (0.1, 5.0)
    )
    assert not torch.equal(some["W_enc"], more["W_enc"])
    assert not torch.equal(some["b_gate"], more["b_gate"])
    for name in ("W_dec", "b_dec", "b_mag", "r_mag"):
        assert torch.equal(some[name], more[name])
    # nor does the gate's reconstruction: the decoder's gradient is that of the first term alone
    _, f = codes(weights, x)
    error = f @ weights["W_dec"] + weights["b_dec"] - x
    torch.testing.assert_close(some["W_dec"], f.T @ error * 2 / 30)
    torch.testing.assert_close(some["b_dec"], error.mean(0) * 2)


def test_an_sae_whose_gates_are_all_closed_still_moves_its_bias(path):
    weights = random_sae(3, 5, 0, torch.float64)
    weights["b_gate"] -= 100
    weights["b_mag"] += 100
    x = torch.ones(4, 3, dtype=torch.float64)
    terms, gradients = run_step(gated, weights, gated.Settings(l1=1.0), x)
    distance = float((weights["b_dec"] - 1).square().sum())
    assert terms.n_active == 0 and not terms.fired.any()
    assert terms.penalty == pytest.approx(distance) and terms.loss == pytest.approx(2 * distance)
    assert not any(gradients[n].any() for n in ("W_enc", "b_gate", "b_mag", "r_mag", "W_dec"))
    torch.testing.assert_close(gradients["b_dec"], (weights["b_dec"] - 1) * 2)
