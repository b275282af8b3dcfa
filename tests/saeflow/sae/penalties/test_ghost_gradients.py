"""Ghost gradients against autograd, and whom they reach."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import assert_close, autograd, random_weights
from saeflow.errors import ConfigError
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.penalties import ghost_gradients
from saeflow.sae.steps.step import Batch, State, Terms, Workspace


def reference(x, target, dead, subtract, value):
    """Return the term as the module's docstring states it."""

    def loss(w):
        inputs = x - w["b_dec"] if subtract else x
        pre = inputs @ w["W_enc"] + w["b_enc"]
        e = (target - torch.relu(pre) @ w["W_dec"] - w["b_dec"]).detach()
        y = torch.exp(pre[:, dead]) @ w["W_dec"][dead]
        s = (e.norm(dim=1) / (2 * y.norm(dim=1))).detach()
        g = (s[:, None] * y - e).square().sum()
        return value * g / g.detach()

    return loss


def ghosts(weights, x, dead, *, subtract=False, coefficient=0.5, target=None, loss=3.0):
    values = {"l1": 0.1, "subtract_b_dec": subtract}
    sae = SAE("relu", architecture_settings("relu", values), weights)
    gradients = {name: torch.zeros_like(w) for name, w in weights.items()}
    terms = Terms(loss + 0.2, 0.0, 0.2, 0, dead)
    state = State(0, dead, Workspace())
    batch = Batch(x, target)
    return ghost_gradients.add(coefficient, sae, gradients, batch, state, terms), gradients


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(2, 12), st.integers(2, 20)),
    seed=st.integers(0, 999), n_dead=st.integers(1, 20), subtract=st.booleans(),
    transcoder=st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_gradients_agree_with_autograd(shape, seed, n_dead, subtract, transcoder):
    n, d_in, d_sae = shape
    weights = random_weights(d_in, d_sae, seed=seed, dtype=torch.float64)
    g = torch.Generator().manual_seed(seed + 1)
    x = torch.randn(n, d_in, generator=g, dtype=torch.float64)
    target = torch.randn(n, d_in, generator=g, dtype=torch.float64) if transcoder else x
    dead = torch.arange(d_sae) < n_dead
    value, gradients = ghosts(weights, x, dead, subtract=subtract, target=target)
    expected, grads = autograd(reference(x, target, dead, subtract, 1.5), weights)
    assert value == pytest.approx(expected) and value == pytest.approx(1.5)
    assert_close(gradients, grads, 1e-6)


def test_no_gradient_reaches_a_living_latent():
    weights = random_weights(6, 20, seed=0, dtype=torch.float64)
    x = torch.randn(30, 6, dtype=torch.float64)
    dead = torch.arange(20) >= 15
    _, gradients = ghosts(weights, x, dead)
    for name in ("W_dec", "b_enc"):
        reached = gradients[name].reshape(20, -1).abs().sum(1) > 0
        assert torch.equal(reached, dead), name
    assert torch.equal(gradients["W_enc"].abs().sum(0) > 0, dead)
    assert not gradients["b_dec"].any()


def test_far_pre_activations_do_not_overflow():
    weights = random_weights(6, 20, seed=0, dtype=torch.float32)
    weights["b_enc"] += 500.0
    value, gradients = ghosts(weights, torch.randn(30, 6), torch.arange(20) >= 15)
    assert value == pytest.approx(1.5)
    assert all(torch.isfinite(g).all() for g in gradients.values())


def test_without_dead_latents_there_is_no_term():
    weights = random_weights(6, 20, seed=0, dtype=torch.float64)
    x = torch.randn(30, 6, dtype=torch.float64)
    value, gradients = ghosts(weights, x, torch.zeros(20, dtype=torch.bool))
    assert value == 0 and not any(g.any() for g in gradients.values())


def test_an_encoder_with_two_paths_is_refused():
    sae = SAE("gated", architecture_settings("gated", {"l1": 0.1}), {})
    state = State(0, torch.ones(2, dtype=torch.bool), Workspace())
    with pytest.raises(ConfigError, match="one bias per latent.*gated"):
        ghost_gradients.add(1.0, sae, {"b_gate": torch.zeros(2)}, Batch(torch.zeros(1, 2)), state,
                            Terms(1.0, 1.0, 0.0, 0, state.dead))  # fmt: skip
