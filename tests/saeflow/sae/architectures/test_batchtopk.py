"""The BatchTopK step against plain autograd, and its threshold."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import PRECISIONS, SHAPES, assert_step, run_step
from sae_stores import sparse_data
from sae_top_k import aux, of_batch, pre_of, prepared
from saeflow.errors import ConfigError
from saeflow.sae.architectures import batchtopk
from saeflow.sae.model import SAE


def reference(x, options, dead):
    """Return the loss as the module's docstring states it."""

    def loss(w):
        f = of_batch(pre_of(w, options, x), max(1, int(options.k * len(x))))
        x_hat = f @ w["W_dec"] + w["b_dec"]
        variance = (x - x.mean(0)).square().sum() if len(x) > 1 else 1.0
        value = (x_hat - x).square().sum() / variance
        if len(x) > 1:  # one input leaves an error without variance: no AuxK
            value = value + aux(w, options, x, x_hat, dead)
        return value

    return loss


@PRECISIONS
@given(
    shape=SHAPES, seed=st.integers(0, 999), k=st.floats(0.2, 20), subtract=st.booleans(),
    bias=st.floats(-2, 1), n_dead=st.integers(0, 20), aux_k=st.sampled_from([None, 1, 3]),
    threshold=st.sampled_from([0.0, 0.5, 50.0]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_loss_and_gradients_agree_with_autograd(
    dtype, tolerance, shape, seed, k, subtract, bias, n_dead, aux_k, threshold
):
    weights, x = prepared(shape, seed, dtype, bias, threshold)
    dead = torch.arange(shape[2]) < n_dead
    options = batchtopk.Settings(
        k=min(k, shape[2]), subtract_b_dec=subtract, aux_k=aux_k, aux_coef=0.5
    )
    assert_step(reference(x, options, dead), batchtopk, weights, options, x, tolerance, dead=dead)


def test_equal_activations_at_the_border_go_to_the_earlier_input():
    eye = torch.eye(2)
    weights = {"W_enc": eye.clone(), "b_enc": torch.zeros(2), "W_dec": eye.clone(),
               "b_dec": torch.zeros(2), "threshold": torch.zeros(2)}  # fmt: skip
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 1.0]])
    terms, _ = run_step(batchtopk, weights, batchtopk.Settings(k=2 / 3), x)
    # kept: the 3 and the first of three ones
    assert terms.n_active == 2 and terms.error == pytest.approx(2.0)
    assert terms.fired.tolist() == [True, False]


def test_the_threshold_is_the_mean_of_the_smallest_kept_at_first_and_follows_later():
    eye = torch.eye(1)
    weights = {"W_enc": eye.clone(), "b_enc": torch.zeros(1), "W_dec": eye.clone(),
               "b_dec": torch.zeros(1), "threshold": torch.zeros(1)}  # fmt: skip
    options = batchtopk.Settings(k=0.5, threshold_tokens=8)
    for tokens, low, expected in [(0, 4.0, 4.0), (2, 2.0, 3.0), (4, 6.0, 4.0), (100, 8.0, 5.0)]:
        x = torch.tensor([[low], [0.5]])
        run_step(batchtopk, weights, options, x, tokens=tokens)
        assert weights["threshold"].tolist() == pytest.approx([expected])


def test_a_batch_without_an_active_latent_leaves_the_threshold():
    weights, x = prepared((4, 3, 5), 0, torch.float32, -100.0, threshold=2.0)
    terms, _ = run_step(batchtopk, weights, batchtopk.Settings(k=2), x)
    assert terms.n_active == 0 and weights["threshold"].tolist() == [2.0] * 5


def test_outside_of_training_a_token_does_not_depend_on_the_others_and_l0_is_about_k():
    x = sparse_data(6000, 16, 48, mean_l0=4)
    options = batchtopk.Settings(k=4, threshold_tokens=2000)
    weights = batchtopk.initial(options, 64, x[:1000], torch.Generator().manual_seed(0))
    for i in range(10):
        run_step(batchtopk, weights, options, x[500 * i : 500 * (i + 1)], tokens=500 * i)
    held_out = x[5000:]
    sae = SAE("batchtopk", options, weights)
    codes = sae.encode_sparse(held_out)
    assert codes.n_active / len(held_out) == pytest.approx(4, rel=0.05)
    together = codes.dense()
    for row in range(0, 1000, 100):
        alone = sae.encode_sparse(held_out[row : row + 1]).dense()[0]
        torch.testing.assert_close(alone, together[row])
        assert torch.equal(alone > 0, together[row] > 0)


def test_k_is_a_mean_and_at_most_the_width():
    assert batchtopk.Settings(k=0.5).k == 0.5
    with pytest.raises(ConfigError, match="k is larger"):
        batchtopk.initial(batchtopk.Settings(k=9), 8, torch.randn(4, 4), torch.Generator())
