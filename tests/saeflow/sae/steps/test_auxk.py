"""First weights of the top-k family."""

from __future__ import annotations

import pytest
import torch

from sae_recipes import OWN
from saeflow import registry
from saeflow.sae.model import ARCHITECTURES, SAE, architecture_settings
from saeflow.sae.sparse.select import top_k
from saeflow.sae.steps import auxk, initial
from saeflow.sae.steps.step import Batch, State, Workspace

FAMILY = ("topk", "batchtopk", "matryoshka")


def rows(n=400, d=8, dtype=torch.float64):
    g = torch.Generator().manual_seed(3)
    return torch.randn(n, d, generator=g, dtype=dtype) * torch.linspace(1, 3, d, dtype=dtype) + 2


def begun(name, x, *, d_sae=64, seed=1, **settings):
    own = architecture_settings(name, {**OWN[name], **settings})
    weights = registry.load(ARCHITECTURES, name).initial(
        own, d_sae, x, torch.Generator().manual_seed(seed)
    )
    return own, weights


def test_the_scale_of_a_case_computed_by_hand(monkeypatch):
    # pre-activations of (1, 0) are (1, 0.6) and x_hat = (1, 0) + 0.6 (0.6, 0.8) = (1.36, 0.48);
    # the best c is <x_hat, x> / |x_hat|^2 = 1.36 / 2.08
    W_dec = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    monkeypatch.setattr(initial, "directions", lambda *_args, **_options: W_dec)
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    settings = auxk.Aux(center="zero")
    both = auxk.initial_top_k(settings, lambda pre: top_k(pre, 2), 2, x, torch.Generator())
    torch.testing.assert_close(both["W_enc"], W_dec.T * (1.36 / 2.08))
    one = auxk.initial_top_k(settings, lambda pre: top_k(pre, 1), 2, x, torch.Generator())
    torch.testing.assert_close(one["W_enc"], W_dec.T)  # a direction that needs no other


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("subtract", [True, False])
def test_no_other_length_of_the_encoder_reconstructs_the_first_batch_better(name, subtract):
    x = rows()
    own, weights = begun(name, x, subtract_b_dec=subtract)

    def error(c):
        scaled = {n: w * c if n[:2] in ("W_", "b_") else w for n, w in weights.items()}
        scaled |= {n: weights[n] for n in ("W_dec", "b_dec")}
        if "threshold" in weights:  # just below the last that training would keep
            scaled["threshold"] = weights["threshold"] * c * (1 - 1e-9)
        return float((SAE(name, own, scaled)(x) - x).square().sum())

    assert error(1.0) < min(error(0.98), error(1.02))
    unit = 1 / float(weights["W_enc"].norm(dim=0)[0])
    assert error(1.0) < 0.9 * error(unit)  # three directions of 64 in 8 dimensions overshoot
    torch.testing.assert_close(weights["W_dec"].norm(dim=1), torch.ones(64, dtype=x.dtype))


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("subtract", [True, False])
def test_only_what_is_in_units_of_the_activations_grows_with_them(name, subtract):
    x = rows()
    _, weights = begun(name, x, subtract_b_dec=subtract)
    _, tenfold = begun(name, 10 * x, subtract_b_dec=subtract)
    for key in ("W_enc", "W_dec"):
        torch.testing.assert_close(tenfold[key], weights[key])
    for key in set(weights) - {"W_enc", "W_dec"}:
        torch.testing.assert_close(tenfold[key], 10 * weights[key], rtol=1e-6, atol=1e-9)


def test_activations_that_are_all_equal_have_first_weights():
    _, weights = begun("topk", torch.ones(5, 4))
    assert all(bool(torch.isfinite(w).all()) for w in weights.values())
    torch.testing.assert_close(weights["W_enc"], weights["W_dec"].T)


@pytest.mark.parametrize("name", ("batchtopk", "matryoshka"))
def test_an_untrained_sae_has_about_k_latents_active(name):
    x = rows()
    own, weights = begun(name, x)
    l0 = SAE(name, own, weights).encode_sparse(x).n_active / len(x)
    assert own.k - 0.01 <= l0 + 1 / len(x) <= own.k + 0.01
    before = float(weights["threshold"][0])
    gradients = {n: torch.zeros_like(w) for n, w in weights.items() if n != "threshold"}
    state = State(0, torch.zeros(64, dtype=torch.bool), Workspace())
    registry.load(ARCHITECTURES, name).step(weights, gradients, own, Batch(x * 2), state)
    assert float(weights["threshold"][0]) > 1.5 * before  # the first step begins anew
