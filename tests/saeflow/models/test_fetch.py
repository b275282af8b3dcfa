"""Models from the hub (a loopback one) and from local directories."""

from __future__ import annotations

import io
import json
import logging
import shutil

import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file, save_file

from local_hub import COMMIT
from saeflow.errors import ConfigError, ModelError, NetworkError
from saeflow.files import read_json, sha256_file
from saeflow.models.fetch import fetch_model
from saeflow.models.record import weights_sha256
from saeflow.tokenizers import tokenizer_from_directory, vocabulary_sha256
from saeflow.work import bulk_of, hold

HUB = {"hub": "org/tiny", "revision": COMMIT}


def fetch(tmp_path, settings, path=None, name="tiny"):
    output = tmp_path / "models" / name / "model.json"
    with hold(output, "b" * 64) as work:
        fetch_model(work, settings, path=path)
        work.publish()
    return output


def test_a_local_model_is_copied_and_described(record, directory):
    facts = read_json(record)
    assert facts.pop("inventory") == sha256_file(bulk_of(record) / "files.json")
    assert facts.pop("checksum")
    assert facts == {
        "identity": "a" * 64,
        "bulk": "model.aaaaaaaaaaaaaaaa",
        "name": "tiny",
        "architecture": "GPTNeoXForCausalLM",
        "n_layers": 3,
        "d_model": 16,
        "vocab_size": 61,
        "max_positions": 32,
        "weights_sha256": weights_sha256(directory),
        "tokenizer": vocabulary_sha256(tokenizer_from_directory(directory)),
        "trust_remote_code": False,
        "sites": {site: [0, 1, 2] for site in ("resid_pre", "attn_out", "mlp_out", "resid_post")},
        "not_offered": {"resid_mid": "the attention and the MLP read the same stream"},
        "whole_passes": [],
    }
    names = {file.name for file in bulk_of(record).iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not names & {"training.log", "modeling_own.py"}


def test_the_copy_outlives_the_original(record, directory):
    shutil.rmtree(directory)
    assert (bulk_of(record) / "model.safetensors").stat().st_size > 1000


def test_code_is_copied_only_for_a_model_that_is_trusted(tmp_path, directory):
    output = fetch(tmp_path, {"trust_remote_code": True}, path=directory)
    assert (bulk_of(output) / "modeling_own.py").is_file()
    assert read_json(output)["trust_remote_code"] is True


def test_a_model_with_its_own_code_is_refused_until_trusted(tmp_path, directory):
    config = read_json(directory / "config.json")
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "modeling_own.Config"}}
    (directory / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="trust_remote_code: true"):
        fetch(tmp_path, {}, path=directory)


def test_finished_work_is_not_done_again(tmp_path, directory):
    fetch(tmp_path, {}, path=directory)
    fetch(tmp_path, {}, path=directory / "gone")


@pytest.mark.parametrize(
    ("missing", "message"),
    [("model.safetensors", "no weights"), ("config.json", "config.json")],
)
def test_an_incomplete_directory_is_refused(tmp_path, directory, missing, message):
    (directory / missing).unlink()
    with pytest.raises(ModelError, match=message):
        fetch(tmp_path, {}, path=directory)


def test_a_missing_part_of_the_weights_is_named(tmp_path, directory):
    (directory / "model.safetensors").rename(directory / "model-00001-of-00002.safetensors")
    parts = {name: f"model-0000{name}-of-00002.safetensors" for name in "12"}
    index = {"weight_map": parts}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="model-00002-of-00002"):
        fetch(tmp_path, {}, path=directory)


def test_a_file_in_place_of_a_directory_is_refused(tmp_path, directory):
    with pytest.raises(ConfigError, match="directory"):
        fetch(tmp_path, {}, path=directory / "config.json")


def test_only_the_files_that_are_needed_come_from_the_hub(tmp_path, hub, record):
    output = fetch(tmp_path, HUB)
    facts, local = read_json(output), read_json(record)
    assert facts.pop("source") == HUB and "source" not in local
    own = ("identity", "bulk", "checksum", "inventory")
    assert {k: v for k, v in facts.items() if k not in own} == {
        k: v for k, v in local.items() if k not in own
    }
    fetched = {path.rpartition("/")[2] for path in hub.requests if "/resolve/" in path}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= fetched
    assert not fetched & {"training.log", "modeling_own.py"}
    assert not any("onnx" in path for path in hub.requests)


def test_weights_in_pytorch_format_are_fetched_where_there_is_no_other(tmp_path, hub):
    files = hub.files["models/org/tiny"]
    buffer = io.BytesIO()
    torch.save(safetensors.torch.load(files.pop("model.safetensors")), buffer)
    files["pytorch_model.bin"] = buffer.getvalue()
    assert (bulk_of(fetch(tmp_path, HUB)) / "pytorch_model.bin").is_file()


def test_a_hub_that_is_busy_for_a_moment_is_asked_again(tmp_path, hub, caplog):
    hub.failures = 2
    with caplog.at_level(logging.WARNING):
        fetch(tmp_path, HUB)
    assert caplog.text.count("trying again") == 2


def test_a_branch_is_refused_and_its_commit_offered(tmp_path, hub):
    with pytest.raises(ConfigError, match=f"revision: {COMMIT}"):
        fetch(tmp_path, {"hub": "org/tiny", "revision": "main"})


@pytest.mark.parametrize(
    ("change", "message"),
    [({"hub": "org/none"}, "no such repository"), ({"revision": "f" * 40}, "no such commit")],
)
def test_an_unknown_repository_or_commit_is_an_error_of_the_configuration(
    tmp_path, hub, change, message
):
    with pytest.raises(ConfigError, match=message):
        fetch(tmp_path, {**HUB, **change})


def test_without_a_network_the_error_says_what_was_needed_and_what_to_do(tmp_path, hub):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(NetworkError, match=r"model org/tiny.*Connect to the network.*`path:`"):
        fetch(tmp_path, HUB)
    with pytest.raises(ConfigError, match="not a commit.*commits"):
        fetch(tmp_path, {**HUB, "revision": "main"})


def test_what_the_cache_has_is_taken_without_a_network(tmp_path, hub):
    fetch(tmp_path, HUB)
    hub.shutdown()
    hub.server_close()
    assert bulk_of(fetch(tmp_path, HUB, name="again")).is_dir()
    with pytest.raises(NetworkError):
        fetch(tmp_path, {**HUB, "revision": "e" * 40}, name="other")


@pytest.mark.parametrize("format", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_refused_with_file_and_place(
    format, value, tmp_path, directory
):
    weights = load_file(directory / "model.safetensors")
    name = "gpt_neox.layers.1.mlp.dense_h_to_4h.weight"
    weights[name][2, 7] = value
    (directory / "model.safetensors").unlink()
    if format.endswith("bin"):
        torch.save(weights, directory / format)
    else:
        save_file(weights, directory / format, {"format": "pt"})
    said = rf"{format}: the weight {name} is not a number.*{value} at \[2, 7\]; 1 of"
    with pytest.raises(ModelError, match=said):
        fetch(tmp_path, {}, path=directory)


def test_weights_that_cannot_be_read_are_refused_with_their_file(tmp_path, directory):
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ModelError, match=r"model.safetensors: the weights cannot be read"):
        fetch(tmp_path, {}, path=directory)
