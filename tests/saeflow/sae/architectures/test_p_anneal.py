"""The step of p-annealing against plain autograd, and the annealing itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import PATHS, PRECISIONS, SHAPES, assert_step, batch_of, random_weights, run_step
from saeflow.sae.architectures import p_anneal

LATER = 10**9


def penalty(f, p):
    """Return the sum of f^p, and of a line of zero at zero where f is below the floor."""
    low = f <= p_anneal.FLOOR
    line = f * p_anneal.FLOOR ** (p - 1)
    return torch.where(low, line, torch.where(low, 1.0, f) ** p).sum()


def reference(x, options, p, coefficient):
    def loss(w):
        inputs = x - w["b_dec"] if options.subtract_b_dec else x
        f = torch.relu(inputs @ w["W_enc"] + w["b_enc"])
        x_hat = f @ w["W_dec"] + w["b_dec"]
        return (x_hat - x).square().sum(1).mean() + coefficient * penalty(f, p) / len(x)

    return loss


def random_sae(d_in, d_sae, seed, dtype, *, coefficient=0.3, updates=0):
    weights = random_weights(d_in, d_sae, seed=seed, dtype=dtype)
    weights["_coefficient"] = torch.tensor([coefficient], dtype=dtype)
    weights["_updates"] = torch.tensor([updates], dtype=dtype)
    weights["_recent"] = torch.zeros(p_anneal.RECENT, 2, dtype=dtype)
    return weights


@PATHS
@PRECISIONS
@given(
    shape=SHAPES, seed=st.integers(0, 999), subtract=st.booleans(), bias=st.floats(-3, 1),
    updates=st.integers(0, 4),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_loss_and_gradients_agree_with_autograd(
    path, dtype, tolerance, shape, seed, subtract, bias, updates
):
    n, d_in, d_sae = shape
    weights = random_sae(d_in, d_sae, seed, dtype, updates=updates)
    weights["b_enc"] += bias
    x = batch_of(n, d_in, seed, dtype)
    options = p_anneal.Settings(
        l1=0.1, p_end=0.5, n_updates=4, anneal_start_tokens=LATER, subtract_b_dec=subtract
    )
    loss = reference(x, options, 1 - 0.125 * updates, 0.3)
    assert_step(loss, p_anneal, weights, options, x, tolerance, path=path)


def test_the_slope_at_codes_near_zero_has_a_bound():
    eye = torch.eye(2, dtype=torch.float64)
    weights = {**random_sae(2, 2, 0, torch.float64, coefficient=1.0, updates=1),
               "W_enc": eye.clone(), "W_dec": eye.clone(),
               "b_enc": torch.zeros(2, dtype=torch.float64),
               "b_dec": torch.zeros(2, dtype=torch.float64)}  # fmt: skip
    options = p_anneal.Settings(
        l1=1.0, p_end=0.5, n_updates=1, anneal_start_tokens=LATER, subtract_b_dec=False
    )
    x = torch.tensor([[1e-12, 4.0]], dtype=torch.float64)
    terms, gradients = run_step(p_anneal, weights, options, x)
    # 1e-12 on the line through (1e-6, 1e-3), and sqrt(4); slopes 1e3 and 1 / (2 sqrt 4)
    assert terms.penalty == pytest.approx(1e-9 + 2)
    torch.testing.assert_close(gradients["b_enc"], torch.tensor([1e3, 0.25], dtype=torch.float64))


def test_p_falls_in_equal_steps_between_the_given_tokens():
    options = p_anneal.Settings(
        l1=0.0, p_end=0.2, n_updates=4, anneal_start_tokens=100, anneal_end_tokens=180
    )
    weights = random_sae(3, 6, 0, torch.float64)
    x = torch.randn(10, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = {}
    for tokens in range(0, 200, 10):
        run_step(p_anneal, weights, options, x, tokens=tokens, total=200)
        found[tokens] = p_anneal.exponent(options, int(weights["_updates"]))
    expected = {t: 1 if t < 100 else 0.8 if t < 120 else 0.6 if t < 140 else 0.4 if t < 160 else 0.2
                for t in found}  # fmt: skip
    assert found == pytest.approx(expected)


def test_by_default_p_falls_from_a_twentieth_of_the_run_to_its_end():
    options = p_anneal.Settings(l1=0.0, n_updates=5)
    assert [p_anneal.due(options, update, 1000) for update in (1, 2, 6)] == [50, 240, 1000]


def test_the_penalty_goes_on_where_it_was_when_p_falls(path):
    options = p_anneal.Settings(
        l1=0.3, p_end=0.2, n_updates=2, anneal_start_tokens=100, anneal_end_tokens=400
    )
    weights = random_sae(5, 30, 2, torch.float64)
    g = torch.Generator().manual_seed(0)
    batches = [torch.randn(10, 5, generator=g, dtype=torch.float64) for _ in range(10)]
    penalties = {}
    for tokens in range(0, 500, 10):  # the same ten batches again and again, fixed weights
        x = batches[tokens // 10 % 10]
        terms, _ = run_step(p_anneal, weights, options, x, tokens=tokens, total=500)
        penalties.setdefault(int(weights["_updates"]), []).append(terms.penalty)
    means = [sum(penalties[k][:10]) / 10 for k in (0, 1, 2)]
    assert means[1] == pytest.approx(means[0]) and means[2] == pytest.approx(means[0])
    assert penalties[0][0] != pytest.approx(penalties[2][0], rel=1e-3)  # but not of each batch


def test_more_updates_than_steps_are_done_one_a_step():
    options = p_anneal.Settings(l1=0.3, n_updates=100, anneal_start_tokens=0, anneal_end_tokens=10)
    weights = random_sae(5, 30, 2, torch.float64)
    x = torch.randn(10, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = run_step(p_anneal, weights, options, x, tokens=0, total=500)[0].penalty
    for step in range(1, 5):
        terms, _ = run_step(p_anneal, weights, options, x, tokens=10 * step, total=500)
        assert int(weights["_updates"]) == step + 1
        assert terms.penalty == pytest.approx(before)


def test_silent_latents_leave_the_coefficient_as_it_is():
    options = p_anneal.Settings(l1=0.3, n_updates=2, anneal_start_tokens=20, anneal_end_tokens=40)
    weights = random_sae(3, 5, 0, torch.float64)
    weights["b_enc"] -= 100
    x = torch.ones(4, 3, dtype=torch.float64)
    for tokens in range(0, 60, 4):
        terms, gradients = run_step(p_anneal, weights, options, x, tokens=tokens, total=60)
        assert terms.n_active == 0 and terms.penalty == 0
        assert all(bool(torch.isfinite(g).all()) for g in gradients.values())
    assert float(weights["_coefficient"]) == pytest.approx(0.3)


def test_first_weights_hold_the_annealing():
    weights = p_anneal.initial(p_anneal.Settings(l1=0.25), 32, torch.ones(5, 8), torch.Generator())
    assert float(weights["_coefficient"]) == 0.25 and int(weights["_updates"]) == 0
