"""What an SAE takes off a row it puts back."""

from __future__ import annotations

import pytest
import torch

from sae_reference import random_weights
from saeflow.errors import ModelError
from saeflow.sae import input_norm
from saeflow.sae.model import SAE, architecture_settings

X = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)) * 3 + 2


def make(norm):
    weights = random_weights(8, 20, seed=0, dtype=torch.float32)
    metadata = {"input_norm": norm}
    return SAE("topk", architecture_settings("topk", {"k": 3}), weights, metadata)


def test_centred_rows_have_no_mean_and_normalised_ones_unit_spread():
    centred, _ = input_norm.apply("center", X)
    assert float(centred.mean(1).abs().max()) < 1e-6
    normal, _ = input_norm.apply("layer_norm", X)
    torch.testing.assert_close(normal.std(1), torch.ones(40), rtol=1e-4, atol=0)
    scaled, _ = input_norm.apply("constant_norm", X)
    torch.testing.assert_close(scaled.norm(dim=1), torch.full((40,), 8**0.5))


@pytest.mark.parametrize("norm", input_norm.NAMES)
def test_a_perfect_reconstruction_comes_back_as_the_input(norm):
    rows, frame = input_norm.apply(norm, X)
    back = rows if frame is None else frame.restore(rows)
    torch.testing.assert_close(back, X, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", ["center", "layer_norm", "constant_norm"])
def test_an_sae_encodes_prepared_rows_and_decodes_to_raw_ones(norm):
    sae, plain = make(norm), make("none")
    rows, frame = input_norm.apply(norm, X)
    torch.testing.assert_close(sae.encode(X), plain.encode(rows))
    torch.testing.assert_close(sae(X), frame.restore(plain(rows)))
    codes = sae.encode_sparse(X)
    torch.testing.assert_close(sae.decode(codes.with_values(codes.values)), sae(X))


def test_centring_ignores_the_mean_of_a_row_and_keeps_it():
    sae = make("center")
    shifted = X + torch.arange(40.0)[:, None]
    torch.testing.assert_close(sae.encode(shifted), sae.encode(X), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sae(shifted) - sae(X), shifted - X, rtol=1e-3, atol=1e-3)


def test_a_row_of_zeros_gives_finite_numbers():
    for norm in input_norm.NAMES:
        assert bool(make(norm)(torch.zeros(2, 8)).isfinite().all())


def test_dense_latents_alone_do_not_say_how_to_come_back():
    sae = make("layer_norm")
    with pytest.raises(ModelError, match="encode_sparse"):
        sae.decode(sae.encode(X))


def test_an_unknown_preparation_is_refused():
    with pytest.raises(ModelError, match="layer_norm.*whiten"):
        make("whiten").encode(X)
