"""The theory of suppression: hand-made cases, toys that are trained, and the table of toys."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saeflow.studies.suppression.theory import (
    SWEEP,
    dilution,
    learned_activation,
    learned_activations,
    shrinkage,
    theory,
    tuned_scale,
)

# The post: c = 2e-3 and Pythia-70m's d = 512 shift every activation by 0.512.
POST = {"c": 2e-3, "d": 512}


def test_the_posts_coefficient_shifts_by_half_a_unit():
    assert shrinkage(**POST) == pytest.approx(0.512)
    np.testing.assert_allclose(
        learned_activation([0.5, 0.512, 1.512, 10.512], **POST), [0, 0, 1, 10]
    )


def test_fine_tuning_scales_by_what_was_lost():
    np.testing.assert_allclose(tuned_scale([1.024, 2.048], **POST), [2.0, 4 / 3])
    assert np.isnan(tuned_scale(0.4, **POST))


def test_a_bias_lets_a_feature_of_half_the_tokens_shrink_twice_as_far():
    assert shrinkage(**POST, p=0.5, bias=True) == pytest.approx(1.024)
    assert shrinkage(**POST, p=0.0, bias=True) == pytest.approx(0.512)


def loss(a, g, p, W, c, patterns, weights, bias):
    """The loss over every pattern of features, with the best bias where it is trained."""
    error = patterns @ ((a - g)[:, None] * W)
    if bias:
        error = error - weights @ error
    penalty = c * weights @ (patterns @ a)
    return weights @ (error**2).sum(1) / W.shape[1] + penalty


def patterns_of(p):
    """Every subset of independent features, and its probability."""
    n = len(p)
    patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return patterns, np.where(patterns, p, 1 - p).prod(1)


@pytest.mark.parametrize("bias", [False, True])
@given(seed=st.integers(0, 999), n=st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_no_other_activations_have_a_smaller_loss(bias, seed, n):
    random = np.random.default_rng(seed)
    g, p = random.uniform(0.1, 3, n), random.uniform(0.05, 0.6, n)
    W = random.normal(size=(n, 4))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    c = 0.3
    a = learned_activations(g, p, W, c, bias=bias)
    patterns, weights = patterns_of(p)
    least = loss(a, g, p, W, c, patterns, weights, bias)
    for size in (1e-3, 1e-1, 1):
        for _ in range(20):
            other = np.maximum(a + size * random.normal(size=n), 0)
            assert loss(other, g, p, W, c, patterns, weights, bias) >= least - 1e-9


@pytest.mark.parametrize("bias", [False, True])
def test_features_at_right_angles_have_the_closed_form(bias):
    g, p = np.array([0.2, 1.0, 3.0]), np.array([0.1, 0.3, 0.5])
    found = learned_activations(g, p, np.eye(8)[:3], 0.1, bias=bias)
    expected = learned_activation(g, 0.1, 8, p, bias=bias)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_features_that_point_alike_share_the_loss_and_those_apart_do_not():
    """Two equal directions that never meet are one feature each; met always, they are one."""
    W, g, p = np.array([[1.0, 0.0], [1.0, 0.0]]), np.full(2, 2.0), np.full(2, 0.2)
    never = np.diag(p)
    np.testing.assert_allclose(learned_activations(g, p, W, 0.1, together=never), 1.9, atol=1e-6)
    always = np.full((2, 2), 0.2)
    # the sum is 4 and loses c d / 2 = 0.1 ... once for both: only the sum is determined
    assert learned_activations(g, p, W, 0.1, together=always).sum() == pytest.approx(3.9, abs=1e-6)


@pytest.mark.parametrize("bias", [False, True])
def test_a_trained_toy_finds_the_predicted_activation(bias):
    """Adam on the loss itself, from samples; the prediction holds within 2 %."""
    generator = torch.Generator().manual_seed(0)
    d, c = 16, 0.05
    g = torch.tensor([0.3, 1.0, 2.0, 4.0])
    p = torch.tensor([0.1, 0.1, 0.3, 0.5])
    z = (torch.rand(4000, 4, generator=generator) < p).float()
    W = torch.eye(d)[:4]
    a, b = torch.full((4,), 1.0, requires_grad=True), torch.zeros(d, requires_grad=bias)
    optimizer = torch.optim.Adam([a, *([b] if bias else [])], lr=0.02)
    for step in range(1500):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 1500)
        f = z * a.relu()
        value = (f @ W + b - (z * g) @ W).square().mean()
        value = value + c * f.sum(1).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    rates = z.mean(0).double().numpy()
    expected = learned_activation(g.numpy(), c, d, rates, bias=bias)
    found = a.detach().relu().double().numpy()
    assert expected[0] == 0  # the weakest one dies
    np.testing.assert_allclose(found[0], 0, atol=0.02)
    np.testing.assert_allclose(found[1:], expected[1:], rtol=0.02)


def test_noise_dilutes_the_fitted_scale_as_predicted():
    random = np.random.default_rng(0)
    g, a, noise = 3.0, 2.0, 0.7
    f = a + noise * random.normal(size=400_000)
    fitted = (f * g).mean() / np.square(f).mean()
    assert fitted == pytest.approx(g / a * dilution(a, noise), rel=0.01)
    assert dilution(a, 0.0) == 1
    assert dilution(1.0, 1.0) == 0.5


def toys():
    """Features of strength 2 and 5 and one that dies, at c d / 2 = 0.5, 1 and 1.5."""
    rows = [
        {"experiment": "apart", "trained": "encoder", "c": c, "d": 10, "p": 0.1, "g": g,
         "overlap": 0.0, "noise": 0.0, "quantity": "activation",
         "predicted": max(0.0, g - 5 * c), "simulated": max(0.0, g - 5 * c)}
        for c in (0.1, 0.2, 0.3) for g in (0.4, 2.0, 5.0)
    ]  # fmt: skip
    rows.append({**rows[0], "experiment": "noise", "quantity": "scale", "simulated": 7.0})
    return pd.DataFrame(rows)


def test_the_shift_is_regressed_on_half_c_d_over_the_features_that_live():
    table = theory(toys())
    sweep = table[table["experiment"] == SWEEP]
    assert len(table) == 10 + 6 == 10 + len(sweep) and set(sweep["g"]) == {2.0, 5.0}
    np.testing.assert_allclose(sweep["half_cd"], 5 * sweep["c"])
    np.testing.assert_allclose(sweep["simulated"], sweep["half_cd"])
    np.testing.assert_allclose(sweep["predicted"], sweep["half_cd"])
    np.testing.assert_allclose(sweep[["slope", "slope_low", "slope_high"]], 1.0)
    assert table.loc[table["experiment"] != SWEEP, "slope"].isna().all()


def test_each_frequency_has_a_slope_of_its_own():
    twice = toys().assign(p=0.3)
    twice["simulated"] = twice["g"] - 2 * (twice["g"] - twice["simulated"])
    table = theory(pd.concat([toys(), twice], ignore_index=True))
    assert table.groupby("p")["slope"].first().to_dict() == pytest.approx({0.1: 1.0, 0.3: 2.0})


def test_one_coefficient_has_no_slope():
    table = theory(toys()[lambda t: t["c"] == 0.1])
    assert table["slope"].isna().all()
