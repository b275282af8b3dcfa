"""Every method with every architecture: it works, or it says why not."""

from __future__ import annotations

import typing

import pytest
import torch

from sae_recipes import OWN, plain
from sae_reference import assert_close, autograd, run_step
from sae_stores import make_activations, place, published, sparse_data, train_saes, tune_saes
from saeflow import registry
from saeflow.config.training import Steps
from saeflow.errors import ConfigError
from saeflow.finetune.methods import trainable
from saeflow.finetune.own_loss import OwnLoss
from saeflow.finetune.squared_error import SquaredError
from saeflow.finetune.tune import with_own_input_bias
from saeflow.sae.model import ARCHITECTURES, SAE, architecture_settings
from saeflow.sae.penalties.decoder_cosine import add as decoder_cosine
from saeflow.sae.saved.load import load_sae
from saeflow.sae.scale import fold
from saeflow.sae.steps.step import Batch, State, Terms, Workspace

X = sparse_data(66 * 33, 12, 20, mean_l0=3)
NAMES = registry.names(ARCHITECTURES)
METHODS = typing.get_args(Steps.model_fields["method"].annotation)
MOVING = {name for name in METHODS if {"W_enc", "b_enc"} & set(trainable(name) or ())}
REFUSED = {("gated", method): "pre-activations.*unrotated_decoder" for method in MOVING}
TUNE = {"solver": "steps", "batch_size": 64, "learning_rate": 3e-3, "epochs": 2}


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    return make_activations(tmp_path_factory.mktemp("activations"), x=X)


@pytest.fixture(scope="module")
def parents(tmp_path_factory, activations):
    """A record of every architecture, of one that subtracts b_dec and was trained on scaled x."""
    root = tmp_path_factory.mktemp("parents")
    scaled = {"scale_input": "mean_square", "subtract_b_dec": True, "learning_rate": 0.01}
    return {
        name: published(
            root, name, lambda w, r=recipe: train_saes([(w, {**r, **scaled})], activations)
        )
        for name, recipe in plain().items()
    }


def mse(sae):
    return float((sae(X) - X).square().mean())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_a_method_fine_tunes_an_architecture_or_says_why_not(
    name, method, parents, activations, tmp_path
):
    work = place(tmp_path, method)
    run = [(work, {"method": method, **TUNE}, parents[name])]
    if (name, method) in REFUSED:
        with pytest.raises(ConfigError, match=REFUSED[name, method]):
            tune_saes(run, activations)
        return
    tune_saes(run, activations)
    parent, tuned = load_sae(parents[name]), load_sae(work.final)
    assert tuned.architecture == name and set(tuned.weights) == set(parent.weights)
    if method == "baseline":  # it trains on: the sparsity stays what it was
        l0 = [sae.encode_sparse(X).n_active / len(X) for sae in (parent, tuned)]
        assert 0.5 * l0[0] < l0[1] < 2 * l0[0]
        assert mse(tuned) < 1.1 * mse(parent)
    elif "threshold" in parent.weights and method in MOVING:
        # a latent that passes its threshold jumps, which no gradient of the error sees
        assert mse(tuned) < 1.05 * mse(parent)
    else:
        assert mse(tuned) < mse(parent)


@pytest.mark.parametrize("name", NAMES)
def test_an_active_latent_is_its_pre_activation_where_the_architecture_says_so(name):
    rule = registry.load(ARCHITECTURES, name)
    settings = architecture_settings(name, OWN[name])
    weights = rule.initial(settings, 30, X[:200], torch.Generator().manual_seed(0))
    g = torch.Generator().manual_seed(1)
    for vector in set(weights) & {"b_enc", "b_gate", "b_mag", "r_mag"}:
        weights[vector] += 0.1 * torch.randn(30, generator=g)
    inputs = X - weights["b_dec"] if settings.subtract_b_dec else X
    bias = weights["b_enc" if "b_enc" in weights else "b_gate"]
    pre = inputs @ weights["W_enc"] + bias
    codes = rule.encode_sparse(weights, settings, X).dense()
    active = codes > 0
    assert bool(active.any())
    close = torch.allclose(codes[active], pre[active], rtol=1e-4, atol=1e-5)
    assert close == settings.LATENT_IS_PRE_ACTIVATION


@pytest.mark.parametrize("name", NAMES)
def test_an_input_bias_of_its_own_encodes_the_same(name, parents):
    parent, x = load_sae(parents[name]).to(dtype=torch.float64), X.double()
    moved = with_own_input_bias(parent)
    assert parent.settings.subtract_b_dec and not moved.settings.subtract_b_dec
    torch.testing.assert_close(moved.encode(x), parent.encode(x))
    torch.testing.assert_close(moved(x), parent(x))


def parent_of(s, **header):
    """Return (rule, weights for s x, the SAE of x that a training on s x gives)."""
    rule = registry.load(ARCHITECTURES, "relu")
    settings = architecture_settings("relu", {"l1": 0.1, "subtract_b_dec": True})
    weights = rule.initial(settings, 20, s * X[:200], torch.Generator().manual_seed(0))
    return rule, weights, SAE("relu", settings, fold(weights, s, s), header)


def loss_of(fit, weights, x):
    gradients = {n: torch.full_like(w, 7.0) for n, w in weights.items()}
    state = State(0, torch.zeros(20, dtype=torch.bool), Workspace())
    return fit.step(weights, gradients, Batch(x), state, None), gradients


def test_the_baseline_goes_on_with_the_loss_of_a_training_on_scaled_activations():
    s, x = 3.7, X[:50]
    rule, weights, parent = parent_of(s, training={"scale": [s, s]})
    fit = OwnLoss(parent)
    terms, gradients = loss_of(fit, fit.initial(), x)
    expected, grads = run_step(rule, weights, parent.settings, s * x)
    assert terms.loss == pytest.approx(expected.loss, rel=1e-5)
    assert terms.error == pytest.approx(float((parent(x) - x).square().sum()), rel=1e-5)
    for name, gradient in grads.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-5)
    for name, w in fit.fold(fit.initial()).weights.items():
        torch.testing.assert_close(w, parent.weights[name])


def test_the_baseline_has_the_further_penalties_of_the_training():
    x = X[:50]
    rule, weights, parent = parent_of(1.0, settings={"penalties": {"decoder_cosine": 5.0}})
    fit = OwnLoss(parent)
    terms, gradients = loss_of(fit, fit.initial(), x)
    plain_terms, grads = run_step(rule, weights, parent.settings, x)
    nothing = Terms(0.0, 0.0, 0.0, 0, torch.zeros(20, dtype=torch.bool))
    value = decoder_cosine(5.0, parent, grads, Batch(x), None, nothing)
    assert value > 0.1
    assert terms.loss == pytest.approx(plain_terms.loss + value, rel=1e-5)
    torch.testing.assert_close(gradients["W_dec"], grads["W_dec"])


@pytest.mark.parametrize(
    ("name", "coefficient"), [("relu", "l1"), ("gated", "l1"), ("jumprelu", "l0_coef")]
)
def test_a_baseline_without_a_known_coefficient_is_refused(name, coefficient, parents):
    parent = load_sae(parents[name])
    settings = architecture_settings(name, {coefficient: 0.0})
    with pytest.raises(ConfigError, match=f"{name} SAE with {coefficient} = 0"):
        OwnLoss(SAE(name, settings, parent.weights, parent.metadata))


def annealed_parent(s, last):
    """Return (weights for s x, the SAE of x whose p-annealing came to ``last``)."""
    rule = registry.load(ARCHITECTURES, "p_anneal")
    recipe = {"l1": 9.0, "p_end": 0.1, "anneal_start_tokens": 0, "l1_warmup_tokens": 700}
    settings = architecture_settings("p_anneal", recipe)
    weights = rule.initial(settings, 20, s * X[:200], torch.Generator().manual_seed(0))
    kept = {n: w for n, w in weights.items() if not n.startswith("_")}
    header = {"training": {"scale": [s, s], **({"loss": last} if last else {})}}
    return kept, SAE("p_anneal", settings, fold(kept, s, s), header)


def test_the_baseline_of_p_annealing_holds_the_last_p_and_coefficient():
    s, x = 2.5, X[:50]
    own, parent = annealed_parent(s, {"coefficient": 0.3, "p": 0.4})
    fit = OwnLoss(parent)
    weights = fit.initial()

    def loss(w):
        f = ((s * x - w["b_dec"]) @ w["W_enc"] + w["b_enc"]).relu()
        x_hat = f @ w["W_dec"] + w["b_dec"]
        power = f[f > 1e-6].pow(0.4).sum()
        return ((x_hat - s * x).square().sum() + 0.3 * power) / len(x)

    expected, grads = autograd(loss, own)
    for _ in range(3):  # and it stays there
        terms, gradients = loss_of(fit, weights, x)
        assert terms.loss == pytest.approx(expected, rel=1e-5)
        assert terms.error == pytest.approx(float((parent(x) - x).square().sum()), rel=1e-5)
        assert_close(gradients, grads, 1e-4)
    folded = fit.fold(weights)
    assert folded.settings == parent.settings and set(folded.weights) == set(parent.weights)
    for name, w in folded.weights.items():
        torch.testing.assert_close(w, parent.weights[name])


def test_a_training_that_ends_before_its_annealing_says_how_far_it_came(activations, tmp_path):
    # p falls in four steps from 1 to 0.2 before tokens 512, 1536, 2560, ...: 2,048 are trained on
    recipe = {"l1": 0.05, "p_end": 0.2, "n_updates": 4, "anneal_start_tokens": 512}
    recipe |= {"anneal_end_tokens": 512 + 4 * 1024}
    published_at = published(
        tmp_path, "p",
        lambda w: train_saes([(w, {**plain()["p_anneal"], **recipe})], activations),
    )  # fmt: skip
    last = load_sae(published_at).metadata["training"]["loss"]
    assert last["p"] == pytest.approx(0.6)
    assert last["coefficient"] > 0 and last["coefficient"] != pytest.approx(0.05)


def test_a_baseline_of_p_annealing_without_its_last_loss_is_refused():
    _, parent = annealed_parent(1.0, None)
    with pytest.raises(ConfigError, match="_coefficient"):
        OwnLoss(parent)


def test_a_frozen_encoder_is_fine_with_latents_of_another_kind(parents):
    gated = load_sae(parents["gated"])
    fit = SquaredError(with_own_input_bias(gated), ("scale", "W_dec", "b_dec"))
    torch.testing.assert_close(fit.fold(fit.initial())(X), gated(X), rtol=1e-3, atol=1e-4)
