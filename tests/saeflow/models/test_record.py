"""What a model's record says."""

from __future__ import annotations

import shutil

import pytest

from saeflow.errors import ModelError
from saeflow.models.record import describe_model, weight_files, weights_sha256
from tiny_models import make_model


def test_other_weights_of_the_same_shape_have_another_hash(directory):
    before = weights_sha256(directory)
    data = bytearray((directory / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (directory / "model.safetensors").write_bytes(data)
    assert weights_sha256(directory) != before


def test_the_hash_depends_on_nothing_but_the_weights(directory, tmp_path):
    shutil.copytree(directory, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "generation_config.json").write_text("{}")
    assert weights_sha256(tmp_path / "elsewhere") == weights_sha256(directory)


def test_safetensors_are_preferred_and_variants_not_looked_at(directory):
    for name in ("pytorch_model.bin", "model.fp16.safetensors", "consolidated.safetensors"):
        (directory / name).write_text("another format")
    assert [file.name for file in weight_files(directory)] == ["model.safetensors"]


def test_a_gpt2_is_described_in_the_same_words(tmp_path):
    make_model("gpt2").save_pretrained(tmp_path)
    facts = describe_model(tmp_path, name="small", tokenizer=None)
    assert (facts["n_layers"], facts["d_model"], facts["max_positions"]) == (3, 16, 32)
    assert facts["architecture"] == "GPT2LMHeadModel"


def test_a_directory_without_weights_lists_what_it_has(tmp_path):
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(ModelError, match=r"model\.safetensors.*readme\.txt"):
        weight_files(tmp_path)
