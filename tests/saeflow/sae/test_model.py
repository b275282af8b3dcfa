"""What an SAE computes, in whatever shape its input comes."""

from __future__ import annotations

import pytest
import torch

from sae_recipes import OWN
from sae_reference import random_weights
from saeflow.errors import ConfigError, ModelError
from saeflow.sae import model
from saeflow.sae.model import SAE, architecture_settings

ONE_BIAS = ("relu", "topk", "batchtopk", "matryoshka", "jumprelu")


def make(architecture, d_in=6, d_sae=20):
    weights = random_weights(d_in, d_sae, seed=0, dtype=torch.float32)
    if architecture not in ("relu", "topk"):
        weights["threshold"] = torch.full((d_sae,), 0.3)
    settings = architecture_settings(architecture, OWN[architecture])
    return SAE(architecture, settings, weights, {"hook": "resid_post.1"})


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


@pytest.mark.parametrize("architecture", ONE_BIAS)
def test_inputs_encoded_in_parts_have_the_codes_of_the_whole(architecture, monkeypatch):
    sae, x = make(architecture), torch.randn(700, 6)
    whole = sae.encode_sparse(x)
    monkeypatch.setattr(model, "_PRE_BYTES", 0)  # as few rows at once as there may be
    parts = sae.encode_sparse(x)
    assert torch.equal(parts.offsets, whole.offsets) and torch.equal(parts.index, whole.index)
    torch.testing.assert_close(parts.values, whole.values)
    assert sae.encode_sparse(x[:0]).n_active == 0 and len(sae.encode_sparse(x[:0])) == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("architecture", ONE_BIAS)
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


@pytest.mark.parametrize("architecture", ["relu", "jumprelu", "topk"])
def test_what_is_not_known_of_an_input_is_not_known_of_its_dense_latents(architecture):
    sae, x = make(architecture), torch.randn(2, 3, 6)
    expected = sae.encode(x)
    x[1, 2, 4] = torch.nan
    found = sae.encode(x)
    assert found[1, 2].isnan().all()
    found[1, 2] = expected[1, 2]
    torch.testing.assert_close(found, expected)
