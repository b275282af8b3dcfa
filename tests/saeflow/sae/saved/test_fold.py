"""Folding changes weights and not what they compute; every bias is far from zero here."""

from __future__ import annotations

import pytest
import torch

from saeflow.sae.saved import fold
from saeflow.sae.saved.foreign import Foreign, as_sae

D_IN, D_SAE = 7, 25
CFGS = {
    "standard": {},
    "topk": {"k": 4},
    "jumprelu": {},
    "gated": {},
}


def random(*shape, seed, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def weights_of(architecture):
    weights = {
        "W_enc": random(D_IN, D_SAE, seed=0),
        "W_dec": random(D_SAE, D_IN, seed=1),
        "b_dec": random(D_IN, seed=2),
    }
    if architecture == "gated":
        for i, name in enumerate(("b_gate", "b_mag", "r_mag")):
            weights[name] = random(D_SAE, seed=3 + i, scale=0.5)
    else:
        weights["b_enc"] = random(D_SAE, seed=6)
    if architecture == "jumprelu":
        weights["threshold"] = random(D_SAE, seed=7).abs()
    return weights


def sae(architecture, weights, *, subtracted):
    cfg = {"architecture": architecture, "apply_b_dec_to_input": subtracted, **CFGS[architecture]}
    made = as_sae(Foreign(cfg, weights, {}), where="here", origin="test")
    # as_sae rounds to float32, which would hide or feign small differences
    return made.to(dtype=torch.float64)


def exact(architecture, weights, *, subtracted):
    made = sae(architecture, weights, subtracted=subtracted)
    made.weights.update(weights)
    return made


X = random(60, D_IN, seed=9)


def assert_same(found, expected, x=X, y=X, latents=1.0, back=lambda x_hat: x_hat):
    torch.testing.assert_close(found.encode(x), expected.encode(y) * latents, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found(x), back(expected(y)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("architecture", list(CFGS))
@pytest.mark.parametrize("subtracted", [True, False])
def test_the_input_bias_moves_between_b_dec_and_the_encoder(architecture, subtracted):
    weights = weights_of(architecture)
    moved = fold.input_bias(weights, subtracted=subtracted, wanted=not subtracted)
    assert_same(
        exact(architecture, moved, subtracted=not subtracted),
        exact(architecture, weights, subtracted=subtracted),
    )
    back = fold.input_bias(moved, subtracted=not subtracted, wanted=subtracted)
    for name in weights:
        torch.testing.assert_close(back[name], weights[name])


@pytest.mark.parametrize("architecture", list(CFGS))
@pytest.mark.parametrize("subtracted", [True, False])
def test_a_scale_of_the_input_goes_into_the_weights(architecture, subtracted):
    weights = weights_of(architecture)
    assert_same(
        exact(architecture, fold.scale(weights, 2.5), subtracted=subtracted),
        exact(architecture, weights, subtracted=subtracted),
        y=2.5 * X,
        back=lambda x_hat: x_hat / 2.5,
    )


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated"])
@pytest.mark.parametrize("subtracted", [True, False])
def test_decoder_norms_go_into_the_latents(architecture, subtracted):
    weights = weights_of(architecture)
    folded = fold.decoder_norms(weights)
    torch.testing.assert_close(folded["W_dec"].norm(dim=1), torch.ones(D_SAE).double())
    assert_same(
        exact(architecture, folded, subtracted=subtracted),
        exact(architecture, weights, subtracted=subtracted),
        latents=weights["W_dec"].norm(dim=1),
    )


def test_a_decoder_row_of_zeros_stays_one():
    weights = weights_of("standard")
    weights["W_dec"][3] = 0
    assert torch.equal(fold.decoder_norms(weights)["W_dec"][3], torch.zeros(D_IN).double())


@pytest.mark.parametrize("architecture", list(CFGS))
@pytest.mark.parametrize("subtracted", [True, False])
def test_an_affine_map_of_the_input_goes_into_the_weights(architecture, subtracted):
    weights, shift = weights_of(architecture), random(D_IN, seed=20)
    matrix = random(D_IN, D_IN, seed=21)
    inverse = torch.linalg.inv(matrix)
    assert_same(
        exact(
            architecture,
            fold.affine(weights, shift, matrix, inverse, subtracted=subtracted),
            subtracted=subtracted,
        ),
        exact(architecture, weights, subtracted=subtracted),
        y=(X - shift) @ matrix,
        back=lambda x_hat: x_hat @ inverse + shift,
    )
