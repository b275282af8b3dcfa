"""What an SAE computes, in whatever shape its input comes."""

from __future__ import annotations

import pytest
import torch

from sae_reference import random_weights
from saeflow.errors import ConfigError, ModelError
from saeflow.sae import model
from saeflow.sae.model import SAE, architecture_settings

SETTINGS = {
    "relu": {"l1": 0.1},
    "topk": {"k": 3},
    "batchtopk": {"k": 3},
    "matryoshka": {"k": 3},
    "jumprelu": {"l0_coef": 0.1},
}


def make(architecture, d_in=6, d_sae=20):
    weights = random_weights(d_in, d_sae, seed=0, dtype=torch.float32)
    if architecture not in ("relu", "topk"):
        weights["threshold"] = torch.full((d_sae,), 0.3)
    settings = architecture_settings(architecture, SETTINGS[architecture])
    return SAE(architecture, settings, weights, {"hook": "resid_post.1"})


@pytest.mark.parametrize("architecture", list(SETTINGS))
def test_a_batch_of_sequences_gives_the_codes_of_its_vectors(architecture):
    sae = make(architecture)
    x = torch.randn(4, 5, 6)
    flat = x.view(20, 6)
    assert torch.equal(sae.encode(x).view(20, 20), sae.encode(flat))
    assert torch.equal(sae(x).view(20, 6), sae(flat))
    assert torch.equal(sae.encode_sparse(x).counts, sae.encode_sparse(flat).counts)
    assert sae.encode(x).shape == (4, 5, 20) and sae(x).shape == x.shape


@pytest.mark.parametrize("architecture", list(SETTINGS))
def test_sparse_and_dense_roads_reconstruct_alike(architecture):
    sae = make(architecture)
    x = torch.randn(9, 6)
    dense, codes = sae.encode(x), sae.encode_sparse(x)
    assert torch.equal(codes.dense(), dense)
    torch.testing.assert_close(sae.decode(codes), dense @ sae.W_dec + sae.b_dec)
    torch.testing.assert_close(sae.decode(dense), sae.decode(codes))
    torch.testing.assert_close(sae(x), sae.decode(codes))


def test_topk_subtracts_the_decoder_bias_and_the_posts_relu_does_not():
    x = torch.randn(9, 6)
    relu, topk = make("relu"), make("topk")
    expected = torch.relu(x @ relu.W_enc + relu.b_enc)
    torch.testing.assert_close(relu.encode(x), expected)
    pre = (x - topk.b_dec) @ topk.W_enc + topk.b_enc
    best = pre.topk(3, dim=1)
    expected = torch.zeros_like(pre).scatter(1, best.indices, best.values.relu())
    torch.testing.assert_close(topk.encode(x), expected)


def test_another_width_is_refused_by_name():
    with pytest.raises(ModelError, match=r"width 6.*got width 7.*resid_post.1"):
        make("relu")(torch.randn(2, 7))


def test_precision_and_input_may_differ():
    sae = make("topk").to(dtype=torch.float64)
    x = torch.randn(3, 6)
    assert sae(x).dtype == torch.float64
    torch.testing.assert_close(sae(x), sae(x.double()))
    assert make("relu")(x.half()).dtype == torch.float32
    assert sae.metadata["hook"] == "resid_post.1"


@pytest.mark.parametrize("architecture", list(SETTINGS))
def test_inputs_encoded_in_parts_have_the_codes_of_the_whole(architecture, monkeypatch):
    sae, x = make(architecture), torch.randn(700, 6)
    whole = sae.encode_sparse(x)
    monkeypatch.setattr(model, "_PRE_BYTES", 0)  # as few rows at once as there may be
    parts = sae.encode_sparse(x)
    assert torch.equal(parts.offsets, whole.offsets) and torch.equal(parts.index, whole.index)
    torch.testing.assert_close(parts.values, whole.values)
    assert sae.encode_sparse(x[:0]).n_active == 0 and len(sae.encode_sparse(x[:0])) == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("architecture", list(SETTINGS))
def test_sixteen_bits_keep_thresholds_and_round_the_rest(architecture, dtype):
    sae, x = make(architecture), torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    rounded = sae.to(dtype=dtype)
    assert rounded.W_dec.dtype == dtype and rounded(x).dtype == dtype
    if "threshold" in sae.weights:
        assert torch.equal(rounded.weights["threshold"], sae.weights["threshold"])
        assert torch.equal(rounded.to(dtype=torch.float32).weights["threshold"],
                           sae.weights["threshold"])  # fmt: skip
    exact, found = sae.encode_sparse(x), rounded.encode_sparse(x)
    assert found.values.dtype == torch.float32
    assert abs(found.n_active - exact.n_active) <= 0.1 * exact.n_active
    error = float((rounded(x).float() - sae(x)).norm() / sae(x).norm())
    assert error < 0.1


@pytest.mark.parametrize("values", [{}, {"k": 3, "kk": 4}])
def test_settings_of_an_architecture_are_complete_and_no_more(values):
    with pytest.raises(ConfigError):
        architecture_settings("topk", values)
