"""Gemma Scope 2's files compute what its arrays say, and transcoders are not taken for SAEs."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from foreign_files import D_IN, assert_computes, gemma_scope_2, inputs
from saeflow.errors import DamagedError, ModelError
from saeflow.sae.saved.foreign import Place, detect, read_foreign


def test_it_is_a_jump_relu_of_the_input_itself(tmp_path):
    gemma_scope_2(tmp_path)
    w = load_file(tmp_path / "params.safetensors")
    z = inputs() @ w["w_enc"] + w["b_enc"]
    f = z * (z > w["threshold"])
    assert detect(Place(tmp_path)) == "gemma_scope_2"
    sae = read_foreign(tmp_path)
    assert_computes(sae, f, f @ w["w_dec"] + w["b_dec"])
    assert sae.metadata["hook"] == "resid_post.2"
    assert sae.metadata["model"] == {"name": "google/gemma-3-1b-pt"}


@pytest.mark.parametrize(
    ("place", "key", "hook"),
    [
        ("model.layers.11.post_feedforward_layernorm.output", "hook", "mlp_out.11"),
        ("model.layers.4.self_attn.o_proj.input", "foreign_hook", None),  # of heads, not a stream
    ],
)
def test_its_places_are_our_hooks_or_said_to_be_none(place, key, hook, tmp_path):
    gemma_scope_2(tmp_path, hf_hook_point_in=place, hf_hook_point_out=place)
    assert read_foreign(tmp_path).metadata[key] == (hook or place)


@pytest.mark.parametrize(
    "change",
    [
        {"hf_hook_point_out": "model.layers.2.post_feedforward_layernorm.output"},
        {"type": "transcoder"},
        {"affine_connection": True},
        {"architecture": "topk"},
    ],
)
def test_what_is_no_sae_is_refused_by_what_its_configuration_says(change, tmp_path):
    gemma_scope_2(tmp_path, **change)
    with pytest.raises(ModelError, match=str(next(iter(change.values())))):
        read_foreign(tmp_path)


def test_a_linear_path_among_the_tensors_is_refused(tmp_path):
    gemma_scope_2(tmp_path, lambda t: t | {"affine_skip_connection": torch.eye(D_IN)})
    with pytest.raises(ModelError, match="affine_skip_connection"):
        read_foreign(tmp_path)


def test_without_its_configuration_it_could_be_a_transcoder(tmp_path):
    gemma_scope_2(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(DamagedError, match=r"config.json.*hf_hook_point_in"):
        read_foreign(tmp_path)
