"""The penalty on decoder rows that point alike."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import autograd, random_weights
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.penalties import decoder_cosine
from saeflow.sae.training.optim import normalise, remove_parallel


def reference(W_dec):
    """Return the mean squared cosine of all pairs of rows, one pair after another."""
    n = len(W_dec)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    cosines = [torch.cosine_similarity(W_dec[i], W_dec[j], dim=0) for i, j in pairs]
    return torch.stack(cosines).square().mean()


def added(W_dec, coefficient):
    """Return (value, what the penalty adds to the decoder's gradient)."""
    weights = random_weights(W_dec.shape[1], len(W_dec), seed=0, dtype=W_dec.dtype)
    sae = SAE("relu", architecture_settings("relu", {"l1": 0.0}), {**weights, "W_dec": W_dec})
    gradients = {name: torch.full_like(w, 2.0) for name, w in sae.weights.items()}
    value = decoder_cosine.add(coefficient, sae, gradients, None, None, None)
    assert all(bool((gradients[n] == 2.0).all()) for n in ("W_enc", "b_enc", "b_dec"))
    return value, gradients["W_dec"] - 2.0


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
@given(n=st.integers(2, 12), d=st.integers(2, 12), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_value_and_gradient_agree_with_autograd_over_all_pairs(dtype, tolerance, n, d, seed):
    W_dec = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    value, found = added(W_dec, 3.0)
    expected, grads = autograd(lambda w: 3.0 * reference(w["W_dec"]), {"W_dec": W_dec})
    assert value == pytest.approx(expected, rel=tolerance, abs=1e-9)
    scale = max(1.0, float(grads["W_dec"].abs().max()))
    assert float((found - grads["W_dec"]).abs().max()) <= tolerance * scale


def test_three_directions_in_a_plane_computed_by_hand():
    # cosines 0, 1 / sqrt 2 and 1 / sqrt 2, whatever the norms
    W_dec = torch.tensor([[2.0, 0.0], [0.0, 0.5], [3.0, 3.0]], dtype=torch.float64)
    assert added(W_dec, 1.0)[0] == pytest.approx((0 + 0.5 + 0.5) / 3)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_row_of_zeros_and_a_single_row_are_no_trouble(rows):
    W_dec = torch.eye(3, dtype=torch.float64)[:rows]
    W_dec[-1] = 0
    value, gradient = added(W_dec, 1.0)
    assert value == 0 and bool(torch.isfinite(gradient).all())


def test_descent_spreads_the_rows_down_to_the_welch_bound():
    n, d = 6, 3
    W_dec = torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    W_dec[:, 0] += 6  # alike
    normalise(W_dec)
    before = added(W_dec, 1.0)[0]
    for _ in range(2000):
        gradient = added(W_dec, 1.0)[1]
        remove_parallel(gradient, W_dec)
        W_dec -= 0.5 * gradient
        normalise(W_dec)
    bound = (n - d) / (d * (n - 1))
    assert before > 2 * bound and added(W_dec, 1.0)[0] == pytest.approx(bound, rel=1e-6)
