"""The Matryoshka step against plain autograd."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import PRECISIONS, assert_close, assert_step, run_step
from sae_top_k import aux, of_batch, pre_of, prepared
from saeflow.errors import ConfigError
from saeflow.sae.architectures import batchtopk, matryoshka
from saeflow.sae.architectures.matryoshka import ends, prefix_weights

shapes = st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(4, 20))
GROUPS = {1: [1.0], 2: [0.25, 0.75], 4: [0.25] * 4}


def reference(x, options, dead):
    """Return the loss as the module's docstring states it."""

    def loss(w):
        f = of_batch(pre_of(w, options, x), max(1, int(options.k * len(x))))
        variance = (x - x.mean(0)).square().sum() if len(x) > 1 else 1.0
        value = 0.0
        parts = zip(ends(options, f.shape[1]), prefix_weights(options), strict=True)
        for end, weight in parts:
            x_hat = f[:, :end] @ w["W_dec"][:end] + w["b_dec"]
            value = value + weight * (x_hat - x).square().sum() / variance
        if len(x) > 1:
            value = value + aux(w, options, x, x_hat, dead)
        return value

    return loss


@PRECISIONS
@given(
    shape=shapes, seed=st.integers(0, 999), k=st.floats(0.2, 20), subtract=st.booleans(),
    bias=st.floats(-2, 1), n_dead=st.integers(0, 20), n_groups=st.sampled_from([1, 2, 4]),
    weighted=st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_loss_and_gradients_agree_with_autograd(
    dtype, tolerance, shape, seed, k, subtract, bias, n_dead, n_groups, weighted
):
    weights, x = prepared(shape, seed, dtype, bias)
    dead = torch.arange(shape[2]) < n_dead
    options = matryoshka.Settings(
        k=min(k, shape[2]), subtract_b_dec=subtract, aux_coef=0.5, group_fractions=GROUPS[n_groups],
        group_weights=[0.5 * g for g in range(1, n_groups + 1)] if weighted else None,
    )  # fmt: skip
    assert_step(reference(x, options, dead), matryoshka, weights, options, x, tolerance, dead=dead)


def test_one_group_is_batchtopk():
    weights, x = prepared((9, 6, 20), 0, torch.float64, 0.0)
    common = {"k": 3, "aux_coef": 0.5}
    dead = torch.arange(20) < 5
    one = matryoshka.Settings(**common, group_fractions=[1.0])
    terms, gradients = run_step(matryoshka, dict(weights), one, x, dead=dead)
    plain, expected = run_step(batchtopk, weights, batchtopk.Settings(**common), x, dead=dead)
    assert terms.loss == pytest.approx(plain.loss) and terms.penalty == pytest.approx(plain.penalty)
    assert_close(gradients, expected, 1e-12)


def test_terms_of_a_case_computed_by_hand():
    eye = torch.eye(2, dtype=torch.float64)
    zeros = torch.zeros(2, dtype=torch.float64)
    weights = {"W_enc": eye.clone(), "b_enc": zeros.clone(), "W_dec": eye.clone(),
               "b_dec": zeros.clone(), "threshold": zeros.clone()}  # fmt: skip
    options = matryoshka.Settings(k=2, aux_coef=0, group_fractions=[0.5, 0.5])
    x = torch.tensor([[2.0, 1.0], [4.0, 3.0]], dtype=torch.float64)
    # the first latent alone leaves 1 + 9; both leave nothing; the variance of x is 2 + 2
    terms, gradients = run_step(matryoshka, weights, options, x)
    assert terms.error == 0 and terms.loss == terms.penalty == pytest.approx(10 / 4)
    # only the first prefix errs, by -(0, 1) and -(0, 3); the second latent is not in it
    assert gradients["b_dec"].tolist() == pytest.approx([0.0, -2 * 4 / 4])
    assert gradients["W_dec"].flatten().tolist() == pytest.approx([0, -2 * (2 + 12) / 4, 0, 0])


def test_the_penalty_is_all_but_the_weighted_error_of_the_whole():
    weights, x = prepared((9, 6, 20), 0, torch.float64, 0.0)
    options = matryoshka.Settings(
        k=3, aux_coef=0, group_fractions=[0.5, 0.5], group_weights=[1.0, 0.25]
    )
    terms, _ = run_step(matryoshka, weights, options, x)
    variance = float((x - x.mean(0)).square().sum())
    assert terms.penalty == pytest.approx(terms.loss - 0.25 * terms.error / variance)


def test_groups_end_at_the_nearest_latent_and_make_up_the_sae():
    tenths = matryoshka.Settings(k=1, group_fractions=[0.1] * 10)  # whose sum is below 1
    assert ends(tenths, 100) == list(range(10, 101, 10))
    uneven = matryoshka.Settings(k=1, group_fractions=[0.38, 0.62])
    assert ends(uneven, 10) == [4, 10]


def test_a_group_without_a_latent_is_refused():
    options = matryoshka.Settings(k=1, group_fractions=[0.01, 0.99])
    with pytest.raises(ConfigError, match="no latent"):
        matryoshka.initial(options, 8, torch.randn(4, 4), torch.Generator())
    assert ends(options, 100) == [1, 100]
