"""Llama Scope's files compute what OpenMOSS' library computes, written out here as it is there."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from foreign_files import D_IN, LLAMA_SCOPE_NORM, assert_computes, inputs, llama_scope
from saeflow.errors import ConfigError, DamagedError, ModelError
from saeflow.sae.saved.foreign import Place, detect, read_foreign


def library(directory, x):
    """Return latents and reconstruction of ``x``, in the library's steps and units."""
    config = json.loads((directory / "hyperparams.json").read_text())
    w = load_file(directory / "checkpoints" / "final.safetensors")
    dataset_wise = config["norm_activation"] == "dataset-wise"
    norm = config["dataset_average_activation_norm"]
    factor = math.sqrt(D_IN) / norm["in"] if dataset_wise else 1.0
    bias = w["decoder.bias"] if config["use_decoder_bias"] else torch.zeros(D_IN)
    h = x * factor
    if config["apply_decoder_bias_to_pre_encoder"]:
        h = h - bias
    pre = h @ w["encoder.weight"].T + w["encoder.bias"]
    if config["act_fn"] == "jumprelu":
        # `standardize_parameters_of_dataset_norm` divides the encoder's bias by the factor and
        # leaves the threshold: at inference it is compared with pre / factor
        f = pre * (pre / factor > config["jump_relu_threshold"])
    elif config["act_fn"] == "topk":
        norms = w["decoder.weight"].norm(dim=0)
        score = pre.relu() * (norms if config["sparsity_include_decoder_norm"] else 1)
        kept = score.topk(config["top_k"]).indices
        f = torch.zeros_like(pre).scatter(1, kept, pre.relu().gather(1, kept))
    else:
        f = pre.relu()
    return f, (f @ w["decoder.weight"].T + bias) / factor


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"norm_activation": "inference"},
        {"apply_decoder_bias_to_pre_encoder": True},
        {"use_decoder_bias": False, "apply_decoder_bias_to_pre_encoder": True},
        {"act_fn": "ReLU"},
        {"act_fn": "topk", "top_k": 4, "sparsity_include_decoder_norm": False},
    ],
)
def test_it_computes_what_the_library_does(change, tmp_path):
    llama_scope(tmp_path, **change)
    assert detect(Place(tmp_path)) == "llama_scope"
    sae = read_foreign(tmp_path)
    assert_computes(sae, *library(tmp_path, inputs()))
    assert sae.metadata["hook"] == "resid_post.19"


def test_a_top_k_by_latent_times_norm_selects_and_reconstructs_the_same(tmp_path):
    llama_scope(tmp_path, act_fn="topk", top_k=4)
    f, x_hat = library(tmp_path, inputs())
    w = load_file(tmp_path / "checkpoints" / "final.safetensors")
    # with unit rows a latent is as large as what it adds
    assert_computes(read_foreign(tmp_path), f * w["decoder.weight"].norm(dim=0), x_hat)


def test_the_scale_is_sqrt_d_over_the_mean_norm_and_the_threshold_goes_with_it(tmp_path):
    llama_scope(tmp_path)
    w, sae = load_file(tmp_path / "checkpoints" / "final.safetensors"), read_foreign(tmp_path)
    scale = math.sqrt(D_IN) / LLAMA_SCOPE_NORM
    torch.testing.assert_close(sae.W_enc, w["encoder.weight"].T * scale)
    torch.testing.assert_close(sae.W_dec, w["decoder.weight"].T / scale)
    torch.testing.assert_close(sae.weights["threshold"], torch.full((20,), 0.52734375 * scale))


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"hook_point_out": "blocks.19.hook_mlp_out"}, ModelError, "hook_mlp_out"),
        ({"use_glu_encoder": True}, ModelError, "use_glu_encoder"),
        ({"act_fn": "gelu"}, ModelError, "gelu"),
        ({"norm_activation": "token-wise"}, ModelError, "token-wise"),
        ({"dataset_average_activation_norm": None}, ConfigError, "dataset_average_activation"),
        ({"d_model": 16}, DamagedError, r"\(16, 20\); got \(8, 20\)"),
    ],
)
def test_what_cannot_be_read_exactly_is_refused(change, kind, said, tmp_path):
    llama_scope(tmp_path, **change)
    with pytest.raises(kind, match=said):
        read_foreign(tmp_path)


def test_missing_weights_are_said_with_what_is_there(tmp_path):
    llama_scope(tmp_path)
    file = tmp_path / "checkpoints" / "final.safetensors"
    file.rename(file.with_name("12000.safetensors"))
    with pytest.raises(ModelError, match=r"final\.safetensors; got 12000"):
        read_foreign(tmp_path)
