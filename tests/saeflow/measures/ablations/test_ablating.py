"""Ablated prompts against a plain hook that computes the reconstruction densely, one at a time."""

import numpy as np
import pytest
import torch

import asked_by_hand
from saeflow.measures.ablations.ablating import Ablated, Asked, reconstruction_without
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE, architecture_settings
from tiny_models import make_model

D, D_SAE = 16, 24
SETS = [np.array([0]), np.array([5]), np.array([1, 2, 3, 4]), np.arange(D_SAE)]


def make_sae(seed=0, **metadata):
    generator = torch.Generator().manual_seed(seed)
    weights = {
        "W_enc": torch.randn(D, D_SAE, generator=generator),
        "b_enc": 0.1 * torch.randn(D_SAE, generator=generator),
        "W_dec": 0.3 * torch.randn(D_SAE, D, generator=generator),
        "b_dec": 0.1 * torch.randn(D, generator=generator),
    }
    weights["W_enc"][:, 7] = 0
    weights["b_enc"][7] = -1  # never active
    return SAE("relu", architecture_settings("relu", {"l1": 0.01}), weights, metadata)


def asked(n_answer=1, n=9):
    ids = torch.randint(3, 61, (n,), generator=torch.Generator().manual_seed(1))
    ids[0] = 0  # a BOS, which no SAE replaces
    return Asked(ids, torch.arange(n) > 0, n_answer)


def by_hand(model, hook, sae, prompt, without, where):
    """Return ln p of the answer and whether it is right, through a hook on the whole model."""

    def change(x):
        parts = torch.relu(x @ sae.W_enc + sae.b_enc)[..., None] * sae.W_dec
        taken = torch.zeros(D_SAE)
        taken[torch.as_tensor(without, dtype=torch.long)] = 1
        contribution = (parts * taken[:, None]).sum(-2)
        whole = parts.sum(-2) + sae.b_dec
        return (whole if where == "reconstruction" else x) - contribution

    log_p = asked_by_hand.log_p(model, prompt.ids, ~prompt.ordinary, str(hook), change)
    n, found, right = len(prompt.ids), 0.0, True
    for t in range(n - prompt.n_answer, n):
        found += log_p[t - 1, prompt.ids[t]].item()
        right &= int(log_p[t - 1].argmax()) == int(prompt.ids[t])
    return found, right


@pytest.fixture(scope="module")
def model():
    return make_model("gpt_neox").requires_grad_(False)


@torch.no_grad()
@pytest.mark.parametrize("n_answer", [1, 3])
@pytest.mark.parametrize("name", ["resid_post.0", "resid_post.2", "mlp_out.1"])
def test_ablation_equals_a_hook_that_does_the_same_densely(model, name, n_answer):
    hook, sae, prompt = Hook.parse(name), make_sae(), asked(n_answer)
    run = Ablated(PatchedModel(model, hook), prompt)
    found = run.without(sae, run.codes(sae), SETS)
    for i, where in enumerate(("reconstruction", "activations")):
        for j, without in enumerate([[], *SETS]):
            log_p, right = by_hand(model, hook, sae, prompt, without, where)
            assert found.log_p[i, j] == pytest.approx(log_p, abs=2e-5), (where, without)
            assert found.correct[i, j] == right


@torch.no_grad()
def test_a_right_answer_is_seen_as_right(model):
    prompt = asked()
    ids = prompt.ids.clone()
    ids[-1] = model(ids[None, :-1]).logits[0, -1].argmax()
    run = Ablated(PatchedModel(model, Hook("resid_post", 1)), prompt._replace(ids=ids))
    assert run.without(make_sae(), run.codes(make_sae()), []).correct[1].tolist() == [True]


@torch.no_grad()
def test_a_feature_that_is_never_active_changes_no_bit(model):
    sae = make_sae()
    run = Ablated(PatchedModel(model, Hook("resid_post", 1)), asked())
    codes = run.codes(sae)
    assert not (codes.index == 7).any()
    x_hat = sae.decode(codes)
    assert torch.equal(reconstruction_without(sae, codes, x_hat, np.array([7])), x_hat)
    found = run.without(sae, codes, [np.array([7])])
    np.testing.assert_array_equal(found.log_p[:, 0], found.log_p[:, 1])


@torch.no_grad()
def test_without_all_features_the_bias_is_left(model):
    sae = make_sae()
    run = Ablated(PatchedModel(model, Hook("resid_post", 1)), asked())
    codes = run.codes(sae)
    left = reconstruction_without(sae, codes, sae.decode(codes), np.arange(D_SAE))
    assert torch.equal(left, sae.b_dec.expand_as(left))


@torch.no_grad()
@pytest.mark.parametrize("norm", ["center", "layer_norm"])
def test_what_is_taken_is_in_the_units_of_the_activations(norm):
    sae, x = make_sae(input_norm=norm), torch.randn(5, D) * 3 + 1
    codes = sae.encode_sparse(x)
    without = reconstruction_without(sae, codes, sae.decode(codes), np.array([3]))
    scale = x.std(-1, keepdim=True) if norm == "layer_norm" else torch.ones(5, 1)
    expected = codes.dense()[:, 3:4] * sae.W_dec[3] * scale
    torch.testing.assert_close(sae.decode(codes) - without, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_number_of_sets_at_a_time_changes_nothing_but_rounding(model, monkeypatch):
    sae = make_sae()
    run = Ablated(PatchedModel(model, Hook("resid_post", 0)), asked())
    whole = run.without(sae, run.codes(sae), SETS)
    monkeypatch.setattr("saeflow.measures.ablations.ablating._BATCH_TOKENS", 1)
    np.testing.assert_allclose(run.without(sae, run.codes(sae), SETS).log_p, whole.log_p, rtol=1e-5)
