"""The TopK step against plain autograd, with and without AuxK."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import PRECISIONS, assert_step, batch_of, random_weights, run_step
from sae_top_k import aux, pre_of, top
from saeflow.errors import ConfigError
from saeflow.sae.architectures import topk
from saeflow.sae.saved.foreign import from_saelens

shapes = st.tuples(st.integers(2, 9), st.integers(1, 12), st.integers(1, 20))


def reference(x, options, dead):
    """Return the loss as the module's docstring states it."""

    def loss(w):
        x_hat = top(pre_of(w, options, x), options.k) @ w["W_dec"] + w["b_dec"]
        value = (x_hat - x).square().sum() / (x - x.mean(0)).square().sum()
        return value + aux(w, options, x, x_hat, dead)

    return loss


@PRECISIONS
@given(
    shape=shapes, seed=st.integers(0, 999), k=st.integers(1, 20), subtract=st.booleans(),
    bias=st.floats(-2, 1), n_dead=st.integers(0, 20), aux_k=st.sampled_from([None, 1, 3]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_loss_and_gradients_agree_with_autograd(
    dtype, tolerance, shape, seed, k, subtract, bias, n_dead, aux_k
):
    n, d_in, d_sae = shape
    weights = random_weights(d_in, d_sae, seed=seed, dtype=dtype)
    weights["b_enc"] += bias
    x = batch_of(n, d_in, seed, dtype)
    dead = torch.arange(d_sae) < n_dead
    options = topk.Settings(k=min(k, d_sae), subtract_b_dec=subtract, aux_k=aux_k, aux_coef=0.5)
    assert_step(reference(x, options, dead), topk, weights, options, x, tolerance, dead=dead)


def test_aux_gradient_reaches_dead_latents_only():
    weights = random_weights(8, 24, seed=1, dtype=torch.float64, bias=0)
    x = torch.randn(32, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    dead = torch.arange(24) >= 16
    weights["b_enc"][dead] = -2.0  # hardly ever among the k
    with_aux = topk.Settings(k=4, aux_coef=1.0)
    without = topk.Settings(k=4, aux_coef=0.0)
    t1, g1 = run_step(topk, weights, with_aux, x, dead=dead)
    t0, g0 = run_step(topk, weights, without, x, dead=dead)
    assert t1.penalty > 0 and t0.penalty == 0
    for name in ("W_dec", "b_enc"):
        changed = (g1[name] - g0[name]).reshape(24, -1).abs().sum(1) > 0
        assert not changed[~dead].any()
        assert changed[dead].any()


def test_aux_of_a_case_computed_by_hand():
    # one live latent along the first axis, one dead along the second
    eye = torch.eye(2, dtype=torch.float64)
    weights = {"W_enc": eye.clone(), "b_enc": torch.tensor([1.0, -0.5], dtype=torch.float64),
               "W_dec": eye.clone(), "b_dec": torch.zeros(2, dtype=torch.float64)}  # fmt: skip
    x = torch.tensor([[2.0, 1.0], [4.0, 3.0]], dtype=torch.float64)
    # f = [[3, 0], [5, 0]]; e = x - x_hat = [[-1, 1], [-1, 3]]; e_hat = [[0, .5], [0, 2.5]]
    # |e - e_hat|^2 = 1.25 + 1.25 = 2.5; variance of e = 2; variance of x = 2 + 2 = 4
    dead = torch.tensor([False, True])
    terms, _ = run_step(topk, weights, topk.Settings(k=1, aux_coef=0.1), x, dead=dead)
    assert terms.error == pytest.approx(1 + 1 + 1 + 9)
    assert terms.penalty == pytest.approx(0.1 * 2.5 / 2)
    assert terms.loss == pytest.approx(12 / 4 + 0.125)


def test_equal_activations_have_a_loss_and_gradients():
    weights = random_weights(4, 8, seed=0, dtype=torch.float64)
    x = torch.ones(5, 4, dtype=torch.float64)
    terms, gradients = run_step(topk, weights, topk.Settings(k=2), x)
    assert terms.loss == pytest.approx(terms.error)
    assert all(torch.isfinite(g).all() for g in gradients.values())


def test_k_beyond_the_width_is_refused():
    with pytest.raises(ConfigError, match="k is larger"):
        topk.initial(topk.Settings(k=9), 8, torch.randn(4, 4), torch.Generator())


def test_norm_scaled_selection_is_brought_to_unit_rows():
    g = torch.Generator().manual_seed(0)
    weights = random_weights(6, 20, seed=2, dtype=torch.float64)
    weights["W_dec"] *= 1 + torch.rand(20, 1, generator=g, dtype=torch.float64)
    x = torch.randn(30, 6, generator=g, dtype=torch.float64)
    config = {"k": 3, "rescale_acts_by_decoder_norm": True, "apply_b_dec_to_input": True}
    options, folded = from_saelens(topk, config, weights)
    norm = weights["W_dec"].norm(dim=1)
    pre = ((x - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]) * norm
    expected = top(pre, 3) / norm @ weights["W_dec"]
    codes = topk.encode_sparse(folded, options, x)
    torch.testing.assert_close(codes.decode(folded["W_dec"]), expected)
