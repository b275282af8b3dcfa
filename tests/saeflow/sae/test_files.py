"""SAEs on disk: what is written is read, and what is damaged or unclear is refused."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from sae_reference import random_weights
from saeflow.errors import DamagedError, ModelError
from saeflow.sae.files import load_sae
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.save import save, transformer_lens_hook
from saeflow.work import hold

SETTINGS = {"relu": {"l1": 0.1}, "topk": {"k": 3, "subtract_b_dec": False}}


def make(architecture):
    weights = random_weights(6, 20, seed=0, dtype=torch.float32)
    settings = architecture_settings(architecture, SETTINGS[architecture])
    metadata = {"hook": "resid_pre.2", "model": {"name": "toy"}, "context_length": 64}
    return SAE(architecture, settings, weights, metadata)


def edit(directory, change):
    file = directory / "cfg.json"
    cfg = json.loads(file.read_text())
    change(cfg)
    file.write_text(json.dumps(cfg))


@pytest.mark.parametrize("architecture", list(SETTINGS))
def test_a_saved_sae_is_read_back_whole(architecture, tmp_path):
    sae = make(architecture)
    save(sae, tmp_path)
    found = load_sae(tmp_path)
    assert found.architecture == architecture and found.settings == sae.settings
    assert all(torch.equal(found.weights[n], sae.weights[n]) for n in sae.weights)
    assert found.metadata["hook"] == "resid_pre.2"
    x = torch.randn(30, 6)
    torch.testing.assert_close(found(x), sae(x))
    save(found, tmp_path / "again")
    for file in ("cfg.json", "sae_weights.safetensors"):
        assert (tmp_path / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_an_sae_is_found_by_its_record_and_by_its_manifest(tmp_path):
    with hold(tmp_path / "sae.json", "i" * 64) as work:
        save(make("relu"), work.path)
        work.finish({})
        work.publish()
    for path in (work.output, work.final / "manifest.json", work.final, str(work.output)):
        assert load_sae(path).d_sae == 20


def test_saelens_keys_say_what_the_sae_computes(tmp_path):
    save(make("topk"), tmp_path)
    cfg = json.loads((tmp_path / "cfg.json").read_text())
    assert cfg["architecture"] == "topk" and cfg["k"] == 3
    assert cfg["apply_b_dec_to_input"] is False and cfg["rescale_acts_by_decoder_norm"] is False
    assert cfg["metadata"]["hook_name"] == "blocks.2.hook_resid_pre"
    assert cfg["metadata"]["model_name"] == "toy" and cfg["metadata"]["context_size"] == 64


@pytest.mark.parametrize(
    ("hook", "name"),
    [("resid_post.3", "blocks.3.hook_resid_post"), ("mlp_out.0", "blocks.0.hook_mlp_out"),
     (None, None)],
)  # fmt: skip
def test_hooks_have_their_transformer_lens_name(hook, name):
    assert transformer_lens_hook(hook) == name


@pytest.mark.parametrize("architecture", list(SETTINGS))
def test_a_directory_without_our_header_is_read_by_saelens_keys(architecture, tmp_path):
    sae = make(architecture)
    save(sae, tmp_path)
    edit(tmp_path, lambda cfg: cfg["metadata"].pop("saeflow"))
    x = torch.randn(30, 6)
    found = load_sae(tmp_path)
    assert found.architecture == architecture
    torch.testing.assert_close(found(x), sae(x))


@pytest.mark.parametrize("with_header", [True, False])
def test_an_architecture_is_never_assumed(with_header, tmp_path):
    save(make("topk"), tmp_path)
    edit(tmp_path, lambda cfg: cfg.pop("architecture"))
    if not with_header:
        edit(tmp_path, lambda cfg: cfg.pop("metadata"))
    with pytest.raises(ModelError, match="which architecture"):
        load_sae(tmp_path)


def test_a_topk_that_claims_to_be_a_relu_is_refused(tmp_path):
    save(make("topk"), tmp_path)
    edit(tmp_path, lambda cfg: cfg.update(architecture="standard"))
    with pytest.raises(DamagedError, match="contradicts itself"):
        load_sae(tmp_path)


def test_an_unknown_architecture_is_refused_with_those_known(tmp_path):
    save(make("relu"), tmp_path)
    edit(tmp_path, lambda cfg: (cfg["metadata"].pop("saeflow"), cfg.update(architecture="wavy")))
    with pytest.raises(ModelError, match=r"relu \| topk.*wavy"):
        load_sae(tmp_path)


@pytest.mark.parametrize("key", ["normalize_activations", "reshape_activations"])
def test_transformed_activations_are_refused(key, tmp_path):
    save(make("relu"), tmp_path)
    edit(tmp_path, lambda cfg: (cfg["metadata"].pop("saeflow"), cfg.update({key: "layer_norm"})))
    with pytest.raises(ModelError, match=key):
        load_sae(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.9, 0.999])
def test_torn_weights_are_damage(share, tmp_path):
    save(make("relu"), tmp_path)
    file = tmp_path / "sae_weights.safetensors"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(DamagedError, match="not readable"):
        load_sae(tmp_path)


def test_a_missing_or_misshapen_tensor_is_damage(tmp_path):
    sae = make("relu")
    save(sae, tmp_path)
    file = tmp_path / "sae_weights.safetensors"
    whole = safetensors.torch.load_file(file)
    for change in ({"W_dec": whole["W_dec"][:, :5].contiguous()}, {"b_enc": None}):
        weights = {n: w for n, w in (whole | change).items() if w is not None}
        safetensors.torch.save_file(weights, file)
        with pytest.raises(DamagedError, match="does not fit"):
            load_sae(tmp_path)
    file.unlink()
    with pytest.raises(DamagedError, match="missing"):
        load_sae(tmp_path)


def test_a_missing_config_is_damage(tmp_path):
    with pytest.raises(DamagedError):
        load_sae(tmp_path)
