"""The ReLU step against plain autograd, and what it learns where the answer is known."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import PATHS, PRECISIONS, SHAPES, assert_step, batch_of, random_weights, run_step
from saeflow.sae.architectures import relu
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.sparse.dense import DenseCodes
from saeflow.sae.steps import backward
from saeflow.sae.steps.step import Batch, State, Workspace
from saeflow.sae.training.optim import Adam, normalise, remove_parallel


def reference(x, options):
    """Return the loss as the module's docstring states it."""

    def loss(w):
        inputs = x - w["b_dec"] if options.subtract_b_dec else x
        f = torch.relu(inputs @ w["W_enc"] + w["b_enc"])
        error = (f @ w["W_dec"] + w["b_dec"] - x).square().sum(1).mean()
        if options.error == "mean":
            error = error / x.shape[1]
        weight = w["W_dec"].norm(dim=1) if options.norm_weighted else 1.0
        return error + options.l1 * (f * weight).sum(1).mean()

    return loss


@PATHS
@PRECISIONS
@given(
    shape=SHAPES, seed=st.integers(0, 999), subtract=st.booleans(), bias=st.floats(-3, 1),
    weighted=st.booleans(), error=st.sampled_from(["mean", "sum"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_loss_and_gradients_agree_with_autograd(
    path, dtype, tolerance, shape, seed, subtract, bias, weighted, error
):
    n, d_in, d_sae = shape
    weights = random_weights(d_in, d_sae, seed=seed, dtype=dtype)
    weights["b_enc"] += bias
    x = batch_of(n, d_in, seed, dtype)
    options = relu.Settings(l1=0.3, subtract_b_dec=subtract, norm_weighted=weighted, error=error)
    assert_step(reference(x, options), relu, weights, options, x, tolerance, path=path)


def test_an_sae_whose_latents_are_all_silent_still_moves_its_bias(path):
    weights = random_weights(3, 5, seed=0, dtype=torch.float64)
    weights["b_enc"] -= 100
    x = torch.ones(4, 3, dtype=torch.float64)
    terms, gradients = run_step(relu, weights, relu.Settings(l1=1.0), x)
    assert terms.n_active == 0 and terms.penalty == 0 and not terms.fired.any()
    assert not gradients["W_enc"].any() and not gradients["W_dec"].any()
    torch.testing.assert_close(gradients["b_dec"], (weights["b_dec"] - 1) * 2 / 3)


def test_terms_of_a_case_computed_by_hand(path):
    eye = torch.eye(2)
    weights = {"W_enc": eye.clone(), "b_enc": torch.tensor([-1.0, 0.0]), "W_dec": eye.clone(),
               "b_dec": torch.zeros(2)}  # fmt: skip
    x = torch.tensor([[3.0, 0.0], [0.5, 2.0]])
    # f = [[2, 0], [0, 2]], x_hat - x = [[-1, 0], [-.5, 0]]
    terms, _ = run_step(relu, weights, relu.Settings(l1=0.5), x)
    assert terms.error == pytest.approx(1.25)
    assert terms.penalty == pytest.approx(0.5 * 4 / 2)
    assert terms.loss == pytest.approx(1.25 / 4 + 1.0)
    assert terms.n_active == 2 and terms.fired.tolist() == [True, True]


def test_terms_of_the_norm_weighted_form_computed_by_hand():
    weights = {"W_enc": torch.eye(2), "b_enc": torch.tensor([-1.0, 0.0]), "b_dec": torch.zeros(2),
               "W_dec": torch.tensor([[1.5, 0.0], [0.0, 0.5]])}  # fmt: skip
    x = torch.tensor([[3.0, 0.0], [0.5, 2.0]])
    # f = [[2, 0], [0, 2]], x_hat - x = [[0, 0], [-.5, -1]]; norms 1.5 and 0.5
    options = relu.Settings(l1=0.5, norm_weighted=True, error="sum")
    terms, gradients = run_step(relu, weights, options, x)
    assert terms.error == pytest.approx(1.25)
    assert terms.penalty == pytest.approx(0.5 * (2 * 1.5 + 2 * 0.5) / 2)
    assert terms.loss == pytest.approx(1.25 / 2 + 1.0)
    # of the error: sum f (x_hat - x) * 2 / n; of the penalty: l1 / n * sum f along the row
    expected = torch.tensor([[0.5, 0.0], [-1.0, -2.0 + 0.5]])
    torch.testing.assert_close(gradients["W_dec"], expected)
    assert not options.unit_norm_decoder and relu.Settings(l1=0.5).unit_norm_decoder


def test_a_decoder_row_of_zeros_gets_no_gradient_from_its_norm():
    weights = random_weights(3, 4, seed=0, dtype=torch.float64)
    weights["W_dec"][1] = 0
    x = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = [
        run_step(relu, weights, relu.Settings(l1=l1, norm_weighted=True), x)[1] for l1 in (0, 1)
    ]
    assert torch.equal(found[0]["W_dec"][1], found[1]["W_dec"][1])
    assert not torch.equal(found[0]["W_dec"][0], found[1]["W_dec"][0])


def test_the_path_follows_the_density_of_the_batch(monkeypatch):
    taken = []
    monkeypatch.setattr(relu, "active", lambda *a: taken.append(backward.active(*a)) or taken[-1])
    weights = random_weights(4, 50, seed=0, dtype=torch.float32)
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    run_step(relu, weights, relu.Settings(l1=0.1), x)
    weights["b_enc"] -= 3
    run_step(relu, weights, relu.Settings(l1=0.1), x)
    assert [type(codes) for codes in taken] == [DenseCodes, Codes]


def test_first_weights_are_unit_rows_that_reconstruct_at_the_right_size():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 32, generator=g) + 5
    weights = relu.initial(relu.Settings(l1=0.0), 512, x, torch.Generator().manual_seed(1))
    torch.testing.assert_close(weights["W_dec"].norm(dim=1), torch.ones(512))
    f = relu.encode_sparse(weights, relu.Settings(l1=0.0), x).dense()
    change = f @ weights["W_dec"]
    centred = x - x.mean(0)
    slope = float((change * centred).sum() / centred.square().sum())
    assert slope == pytest.approx(1.0, abs=0.1)


def test_first_weights_of_the_norm_weighted_form_are_short_and_tied():
    x = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    options = relu.Settings(l1=0.0, norm_weighted=True)
    weights = relu.initial(options, 64, x, torch.Generator().manual_seed(1))
    torch.testing.assert_close(weights["W_dec"].norm(dim=1), torch.full((64,), 0.1))
    assert torch.equal(weights["W_enc"], weights["W_dec"].T)


def test_orthogonal_features_shrink_by_half_the_penalty_times_the_width():
    # One binary feature of strength g that is on with probability p: the loss' minimum has
    # f = g - c d / 2 for a decoder bias of zero. The free bias takes up p of the remainder, so
    # that g - f = c d / (2 (1 - p)).
    d, strength, p, l1 = 16, 1.5, 1 / 16, 0.03
    g = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(d, d, generator=g)).Q
    options = relu.Settings(l1=l1, center="zero")
    weights = {
        "W_enc": (basis + 0.05 * torch.randn(d, d, generator=g)).T,
        "b_enc": torch.zeros(d),
        "W_dec": basis + 0.05 * torch.randn(d, d, generator=g),
        "b_dec": torch.zeros(d),
    }
    normalise(weights["W_dec"])
    gradients = {name: torch.zeros_like(w) for name, w in weights.items()}
    adam, state = Adam(weights, gradients), State(0, torch.zeros(d, dtype=torch.bool), Workspace())
    for i in range(800):
        on = torch.rand(256, d, generator=g) < p
        relu.step(weights, gradients, options, Batch(strength * on @ basis), state)
        remove_parallel(gradients["W_dec"], weights["W_dec"])
        adam.step(5e-3 * min(1.0, (800 - i) / 400))
        normalise(weights["W_dec"])
    each = relu.encode_sparse(weights, options, strength * basis).dense()
    shrinkage = strength - each.diagonal()
    expected = l1 * d / 2
    assert float(shrinkage.mean()) == pytest.approx(expected / (1 - p), rel=0.02)
    assert float(shrinkage.mean()) == pytest.approx(expected, rel=0.1)
