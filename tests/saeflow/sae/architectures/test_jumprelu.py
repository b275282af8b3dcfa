"""The JumpReLU step against plain autograd with a straight-through estimator."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import (
    PATHS,
    PRECISIONS,
    SHAPES,
    assert_close,
    assert_step,
    autograd,
    batch_of,
    random_weights,
    run_step,
)
from sae_top_k import aux
from saeflow.sae.architectures import jumprelu


def kernel(z, threshold, bandwidth):
    return ((z - threshold).abs() < bandwidth / 2) & (z > 0)


class JumpReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, threshold, bandwidth):
        ctx.save_for_backward(z, threshold)
        ctx.bandwidth = bandwidth
        return z * (z > threshold)

    @staticmethod
    def backward(ctx, gradient):
        z, threshold = ctx.saved_tensors
        near = kernel(z, threshold, ctx.bandwidth)
        return gradient * (z > threshold), -(threshold / ctx.bandwidth * near * gradient), None


class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, threshold, bandwidth):
        ctx.save_for_backward(z, threshold)
        ctx.bandwidth = bandwidth
        return (z > threshold).to(z)

    @staticmethod
    def backward(ctx, gradient):
        z, threshold = ctx.saved_tensors
        return None, -(kernel(z, threshold, ctx.bandwidth) / ctx.bandwidth * gradient), None


def reference(x, options, dead):
    """Return the loss as the module's docstring states it."""

    def loss(w):
        inputs = x - w["b_dec"] if options.subtract_b_dec else x
        z = torch.relu(inputs @ w["W_enc"] + w["b_enc"])
        f = JumpReLU.apply(z, w["threshold"], options.bandwidth)
        l0 = Step.apply(z, w["threshold"], options.bandwidth).sum(1).mean()
        x_hat = f @ w["W_dec"] + w["b_dec"]
        value = (x_hat - x).square().sum(1).mean()
        if options.target_l0 is None:
            value = value + options.l0_coef * l0
        else:
            value = value + options.l0_coef * (l0 / options.target_l0 - 1) ** 2
        return value + aux(w, options, x, x_hat, dead) if options.aux_coef else value

    return loss


def random_sae(d_in, d_sae, seed, dtype):
    weights = random_weights(d_in, d_sae, seed=seed, dtype=dtype)
    g = torch.Generator().manual_seed(seed + 5)
    weights["threshold"] = 0.6 * torch.rand(d_sae, generator=g, dtype=dtype)
    return weights


@PATHS
@PRECISIONS
@given(
    shape=SHAPES, seed=st.integers(0, 999), subtract=st.booleans(), bias=st.floats(-3, 1),
    bandwidth=st.sampled_from([0.01, 0.3, 2.0]), target=st.sampled_from([None, 1.0, 4.0]),
    n_dead=st.integers(0, 20), k=st.sampled_from([None, 1, 3]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_loss_and_gradients_agree_with_autograd(
    path, dtype, tolerance, shape, seed, subtract, bias, bandwidth, target, n_dead, k
):
    n, d_in, d_sae = shape
    n += 1  # the error of a single input has no variance
    dead = torch.arange(d_sae) < n_dead
    weights = random_sae(d_in, d_sae, seed, dtype)
    weights["b_enc"] += bias
    x = batch_of(n, d_in, seed, dtype)
    options = jumprelu.Settings(
        l0_coef=0.3, target_l0=target, bandwidth=bandwidth, subtract_b_dec=subtract,
        aux_coef=0.5, aux_k=k,
    )  # fmt: skip
    loss = reference(x, options, dead)
    assert_step(loss, jumprelu, weights, options, x, tolerance, path=path, dead=dead)


def test_a_single_input_is_a_batch(path):
    weights = random_sae(4, 9, 2, torch.float64)
    x = torch.randn(1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    options = jumprelu.Settings(l0_coef=0.3, bandwidth=0.5)
    terms, gradients = run_step(jumprelu, weights, options, x)
    alive = torch.zeros(9, dtype=torch.bool)
    expected, grads = autograd(reference(x, options, alive), weights)
    assert terms.loss == pytest.approx(expected) and terms.n_active > 0
    assert_close(gradients, grads, 1e-9)


def test_terms_and_the_thresholds_gradient_of_a_case_computed_by_hand(path):
    # z = x: the first latent jumps at 1, the second at 0.5; the kernel reaches 0.25 to each side
    eye = torch.eye(2)
    weights = {"W_enc": eye.clone(), "b_enc": torch.zeros(2), "W_dec": eye.clone(),
               "b_dec": torch.zeros(2), "threshold": torch.tensor([1.0, 0.5])}  # fmt: skip
    x = torch.tensor([[1.2, 0.4], [0.8, 2.0]])
    # f = [[1.2, 0], [0, 2]], x_hat - x = [[0, -.4], [-.8, 0]]; d loss / d x_hat = the same (2 / n)
    options = jumprelu.Settings(l0_coef=0.5, bandwidth=0.5)
    terms, gradients = run_step(jumprelu, weights, options, x)
    assert terms.error == pytest.approx(0.16 + 0.64)
    assert terms.penalty == pytest.approx(0.5 * 2 / 2)
    assert terms.loss == pytest.approx(0.8 / 2 + 0.5)
    assert terms.n_active == 2 and terms.fired.tolist() == [True, True]
    # first: 1.2 and 0.8 are near, -(1 / .5) * (0 - .8) - 2 * .5 / (.5 * 2) = 1.6 - 1
    # second: only 0.4 is near, -(.5 / .5) * -.4 - .5 / (.5 * 2) = .4 - .5
    torch.testing.assert_close(gradients["threshold"], torch.tensor([0.6, -0.1]))


def test_a_latent_that_comes_near_its_threshold_has_not_fired(path):
    weights = {"W_enc": torch.eye(2), "b_enc": torch.zeros(2), "W_dec": torch.eye(2),
               "b_dec": torch.zeros(2), "threshold": torch.tensor([1.0, 0.5])}  # fmt: skip
    x = torch.tensor([[0.9, 0.6], [0.8, 0.4]])  # all within 0.25 of their thresholds
    terms, _ = run_step(jumprelu, weights, jumprelu.Settings(l0_coef=0.5, bandwidth=0.5), x)
    assert terms.n_active == 1 and terms.fired.tolist() == [False, True]


def test_a_pre_activation_equal_to_its_threshold_is_not_active(path):
    weights = {"W_enc": torch.eye(2), "b_enc": torch.zeros(2), "W_dec": torch.eye(2),
               "b_dec": torch.zeros(2), "threshold": torch.tensor([0.5, 0.0])}  # fmt: skip
    x = torch.tensor([[0.5, 0.0], [0.75, 0.25]])
    options = jumprelu.Settings(l0_coef=0.0)
    codes = jumprelu.encode_sparse(weights, options, x)
    assert codes.dense().tolist() == [[0.0, 0.0], [0.75, 0.25]]
    assert codes.counts.tolist() == [0, 2]
    assert run_step(jumprelu, weights, options, x)[0].n_active == 2


def test_a_threshold_below_zero_acts_as_zero_and_is_pulled_back(path):
    weights = random_sae(4, 6, 0, torch.float64)
    x = torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    options = jumprelu.Settings(l0_coef=0.5, bandwidth=0.5)
    below = {**weights, "threshold": torch.full((6,), -0.3, dtype=torch.float64)}
    zero = {**weights, "threshold": torch.zeros(6, dtype=torch.float64)}
    (t1, g1), (t0, g0) = (run_step(jumprelu, w, options, x) for w in (below, zero))
    assert t1.loss == t0.loss
    assert torch.equal(g1["threshold"], g0["threshold"]) and bool((g1["threshold"] < 0).all())
    assert torch.equal(*(jumprelu.encode_sparse(w, options, x).dense() for w in (below, zero)))


def test_an_sae_whose_latents_are_all_silent_still_moves_its_bias(path):
    weights = random_sae(3, 5, 0, torch.float64)
    weights["b_enc"] -= 100
    x = torch.ones(4, 3, dtype=torch.float64)
    options = jumprelu.Settings(l0_coef=1.0, target_l0=2.0)
    terms, gradients = run_step(jumprelu, weights, options, x)
    assert terms.n_active == 0 and terms.penalty == pytest.approx(1.0) and not terms.fired.any()
    assert not any(gradients[name].any() for name in ("W_enc", "b_enc", "W_dec", "threshold"))
    torch.testing.assert_close(gradients["b_dec"], (weights["b_dec"] - 1) * 2)


def test_thresholds_start_where_the_settings_say():
    options = jumprelu.Settings(l0_coef=0.0, init_threshold=0.25)
    weights = jumprelu.initial(options, 64, torch.ones(5, 16), torch.Generator())
    assert weights["threshold"].tolist() == [0.25] * 64
