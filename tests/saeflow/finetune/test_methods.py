"""Each method's step and folding against plain autograd."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import assert_close, autograd, random_weights
from saeflow import registry
from saeflow.sae.model import SAE, architecture_settings

METHODS = registry.names("finetune.methods")
SETTINGS = {"relu": {"l1": 0.1}, "topk": {"k": 3}}


def make(architecture, d_in, d_sae, seed, dtype):
    weights = random_weights(d_in, d_sae, seed=seed, dtype=dtype)
    return SAE(architecture, architecture_settings(architecture, SETTINGS[architecture]), weights)


def start(method, parent):
    """First weights of a method, moved a little so that no factor is one by chance."""
    g = torch.Generator().manual_seed(5)
    return {
        name: w + 0.2 * torch.randn(w.shape, generator=g, dtype=w.dtype)
        for name, w in method.initial(parent).items()
    }


def reconstruct(parent, weights, x):
    """The post's formula, with the parent's own decoder where the method has none."""
    f = parent.encode(x) * weights["scale"]
    return f @ weights.get("W_dec", parent.W_dec) + weights.get("b_dec", parent.b_dec)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 8), st.integers(3, 20)),
    seed=st.integers(0, 999), architecture=st.sampled_from(["relu", "topk"]),
    silent=st.booleans(),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_gradients_agree_with_autograd(name, dtype, tolerance, shape, seed, architecture, silent):
    n, d_in, d_sae = shape
    method, parent = (
        registry.load("finetune.methods", name),
        make(architecture, d_in, d_sae, seed, dtype),
    )
    if silent:
        parent.b_enc.sub_(100)
    x = torch.randn(n, d_in, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    weights = start(method, parent)
    gradients = {n: torch.full_like(w, 7.0) for n, w in weights.items()}
    total = method.step(weights, gradients, parent, x, parent.encode_sparse(x))
    expected, grads = autograd(lambda w: (reconstruct(parent, w, x) - x).square().mean(), weights)
    assert total / x.numel() == pytest.approx(expected, rel=tolerance)
    assert_close(gradients, grads, tolerance)


@pytest.mark.parametrize("name", METHODS)
def test_the_folded_sae_computes_what_was_fitted(name):
    method, parent = registry.load("finetune.methods", name), make("relu", 6, 20, 0, torch.float64)
    weights, x = start(method, parent), torch.randn(30, 6, dtype=torch.float64)
    folded = SAE("relu", parent.settings, method.fold(parent, weights))
    torch.testing.assert_close(folded(x), reconstruct(parent, weights, x))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_starts_at_its_parent(name):
    method, parent = registry.load("finetune.methods", name), make("relu", 6, 20, 0, torch.float64)
    parent.W_dec[3] = 0  # a latent without a direction stays one
    x = torch.randn(30, 6, dtype=torch.float64)
    folded = SAE("relu", parent.settings, method.fold(parent, method.initial(parent)))
    torch.testing.assert_close(folded(x), parent(x))
