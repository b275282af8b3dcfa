"""Each method's step and folding against plain autograd."""

from __future__ import annotations

import typing

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import assert_close, autograd, random_weights
from saeflow.config.training import Steps
from saeflow.finetune.methods import trainable
from saeflow.finetune.own_loss import OwnLoss
from saeflow.finetune.squared_error import SquaredError
from saeflow.finetune.tune import with_own_input_bias
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.steps import backward
from saeflow.sae.steps.step import Batch, State, Workspace

METHODS = {
    name: trainable(name) for name in typing.get_args(Steps.model_fields["method"].annotation)
}
SQUARED_ERROR = [name for name in METHODS if name != "baseline"]
SETTINGS = {"relu": {"l1": 0.1}, "topk": {"k": 3}, "jumprelu": {"l0_coef": 0.1}}

# Table 1 of the feature suppression post.
POST = {
    "scale": {"scale"},
    "decoder": {"scale", "W_dec", "b_dec"},
    "unrotated_decoder": {"scale", "b_dec"},
    "encoder": {"scale", "W_enc", "b_enc"},
    "unrotated_encoder": {"scale", "b_enc"},
    "unrotated_all": {"scale", "b_enc", "b_dec"},
    "baseline": {"W_enc", "b_enc", "W_dec", "b_dec"},
}


def make(architecture, d_in, d_sae, seed, dtype, **own):
    weights = random_weights(d_in, d_sae, seed=seed, dtype=dtype)
    if architecture == "jumprelu":
        weights["threshold"] = torch.full((d_sae,), 0.2, dtype=dtype)
    rule = {**SETTINGS[architecture], **own}
    return SAE(architecture, architecture_settings(architecture, rule), weights)


def fit_of(name, parent):
    if name == "baseline":
        return OwnLoss(parent)
    bias = "b_dec" in METHODS[name]
    return SquaredError(with_own_input_bias(parent) if bias else parent, METHODS[name])


def start(fit):
    """First weights of a method, moved a little so that no factor is one by chance."""
    g = torch.Generator().manual_seed(5)
    return {
        name: w + 0.2 * torch.randn(w.shape, generator=g, dtype=w.dtype)
        for name, w in fit.initial().items()
    }


def reconstruct(parent, weights, x):
    """The post's formula, with the parent's own weights where the method has none."""
    own = {name: weights.get(name, w) for name, w in parent.weights.items()}
    inputs = x - parent.b_dec if parent.settings.subtract_b_dec else x
    pre = inputs @ own["W_enc"] + own["b_enc"]
    moved = SAE(parent.architecture, parent.settings, {n: w.detach() for n, w in own.items()})
    f = pre * (moved.encode(x) > 0)
    return (f * weights["scale"]) @ own["W_dec"] + own["b_dec"]


def run(fit, weights, x, parent, *, tokens=0):
    gradients = {n: torch.full_like(w, 7.0) for n, w in weights.items()}
    codes = parent.encode_sparse(x) if fit.frozen_encoder else None
    state = State(tokens, torch.zeros(parent.d_sae, dtype=torch.bool), Workspace())
    return fit.step(weights, gradients, Batch(x), state, codes), gradients


@pytest.mark.parametrize("name", POST)
def test_a_method_moves_what_the_post_says(name):
    assert set(fit_of(name, make("relu", 4, 9, 0, torch.float32)).initial()) == POST[name]
    assert set(METHODS) == {*POST, "all"}


@pytest.mark.parametrize("name", SQUARED_ERROR)
@pytest.mark.parametrize("path", ["sparse", "dense"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 8), st.integers(3, 20)),
    seed=st.integers(0, 999), architecture=st.sampled_from(list(SETTINGS)), silent=st.booleans(),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_gradients_agree_with_autograd(
    name, path, dtype, tolerance, shape, seed, architecture, silent
):
    n, d_in, d_sae = shape
    parent = make(architecture, d_in, d_sae, seed, dtype)
    if silent:
        parent.b_enc.sub_(100)
    x = torch.randn(n, d_in, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    fit = fit_of(name, parent)
    weights = start(fit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backward, "SPARSE_BELOW", 2.0 if path == "sparse" else 0.0)
        terms, gradients = run(fit, weights, x, fit.parent)
    expected, grads = autograd(
        lambda w: (reconstruct(fit.parent, w, x) - x).square().mean(), weights
    )
    assert terms.loss == pytest.approx(expected, rel=tolerance)
    assert terms.error == pytest.approx(expected * x.numel(), rel=tolerance)
    assert terms.penalty == 0
    assert_close(gradients, grads, tolerance)


@pytest.mark.parametrize("name", SQUARED_ERROR)
def test_the_folded_sae_computes_what_was_fitted(name):
    fit = fit_of(name, make("relu", 6, 20, 0, torch.float64))
    weights, x = start(fit), torch.randn(30, 6, dtype=torch.float64)
    torch.testing.assert_close(fit.fold(weights)(x), reconstruct(fit.parent, weights, x))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_starts_at_its_parent(name):
    parent = make("relu", 6, 20, 0, torch.float64)
    parent.W_dec[3] = 0  # a latent without a direction stays one
    fit, x = fit_of(name, parent), torch.randn(30, 6, dtype=torch.float64)
    torch.testing.assert_close(fit.fold(fit.initial())(x), parent(x))


def test_the_baseline_has_the_loss_of_the_training_with_its_warm_up_over():
    parent = make("relu", 6, 20, 0, torch.float64, l1_warmup_tokens=1000)
    fit, x = fit_of("baseline", parent), torch.randn(30, 6, dtype=torch.float64)
    weights = start(fit)

    def loss(w):
        f = (x @ w["W_enc"] + w["b_enc"]).relu()
        error = f @ w["W_dec"] + w["b_dec"] - x
        return error.square().mean() + 0.1 * f.sum(1).mean()

    terms, gradients = run(fit, weights, x, parent)
    expected, grads = autograd(loss, weights)
    assert terms.loss == pytest.approx(expected)
    assert_close(gradients, grads, 1e-6)
    assert fit.unit_rows == ("W_dec",)
