import json

import pytest

from saeflow.cost.guess import UnknownError
from saeflow.cost.shapes import PUBLISHED, Shape, shape_of
from saeflow.plan.result import Result

HUB = {"hub": "EleutherAI/pythia-70m", "revision": "0" * 40}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def fetch(tmp_path, settings, **arguments):
    return Result(
        rule="fetch_model",
        place={"model": "m"},
        output=tmp_path / "m" / "model.json",
        settings=settings,
        arguments=arguments,
        suffix="",
    )


def test_pythia_70m_has_its_published_number_of_weights():
    # the paper: 18,915,328 without embeddings, of which 12 x 512^2 x 6 are in matrices
    shape = PUBLISHED["EleutherAI/pythia-70m"]
    assert 6 * shape.block_parameters == 6 * 12 * 512**2 == 18_874_368
    assert shape.n_parameters == 18_874_368 + 2 * 50304 * 512


def test_gpt2_has_its_published_number_of_weights():
    shape = PUBLISHED["openai-community/gpt2"]
    assert (shape.d_model, shape.n_layers, shape.d_mlp) == (768, 12, 3072)
    # 124 M with its biases and positions; matrices and the tied embedding make most of it
    assert shape.n_parameters == 12 * 12 * 768**2 + 50257 * 768


def test_a_gated_mlp_has_three_matrices():
    assert Shape("llama", 8, 1, 20, 100).block_parameters == 4 * 64 + 3 * 8 * 20


def test_a_published_shape_says_so(tmp_path):
    shape = shape_of(fetch(tmp_path, HUB))
    assert shape.d_model == 512
    assert "published shape of EleutherAI/pythia-70m" in shape.note


def test_the_hubs_cache_goes_before_fame(tmp_path):
    snapshot = tmp_path / "cache/models--EleutherAI--pythia-70m/snapshots" / HUB["revision"]
    snapshot.mkdir(parents=True)
    config = {"model_type": "gpt2", "n_embd": 4, "n_layer": 2, "n_head": 2, "vocab_size": 9}
    (snapshot / "config.json").write_text(json.dumps(config))
    shape = shape_of(fetch(tmp_path, HUB))
    assert (shape.d_model, shape.note) == (4, "")


def test_a_model_that_nobody_knows_has_no_shape_yet(tmp_path):
    with pytest.raises(UnknownError, match="nobody/model is not known before it is fetched"):
        shape_of(fetch(tmp_path, {**HUB, "hub": "nobody/model"}))


def test_a_local_model_has_that_of_its_files(tmp_path):
    config = {"hidden_size": 6, "num_hidden_layers": 3, "vocab_size": 7, "model_type": "llama"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    shape = shape_of(fetch(tmp_path, {}, path=str(tmp_path)))
    assert (shape.d_model, shape.n_layers) == (6, 3)
