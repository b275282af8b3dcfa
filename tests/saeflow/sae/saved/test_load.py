"""SAEs on disk: what is written is read, and what is damaged or unclear is refused."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from sae_reference import random_weights
from saeflow.errors import DamagedError, ModelError
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.load import load_sae
from saeflow.sae.saved.save import config, save
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


def test_what_training_alone_remembers_is_in_no_file(tmp_path):
    sae = make("relu")
    save(SAE("relu", sae.settings, {**sae.weights, "_recent": torch.zeros(3)}), tmp_path)
    assert set(load_sae(tmp_path).weights) == set(sae.weights)


def test_an_sae_is_found_by_its_record_and_by_its_manifest(tmp_path):
    with hold(tmp_path / "sae.json", "i" * 64) as work:
        save(make("relu"), work.path)
        work.finish({})
        work.publish()
    for path in (work.output, work.final / "manifest.json", work.final, str(work.output)):
        assert load_sae(path).d_sae == 20


@pytest.mark.parametrize(
    ("hook", "name"),
    [("resid_post.3", "blocks.3.hook_resid_post"), ("mlp_out.0", "blocks.0.hook_mlp_out"),
     (None, None)],
)  # fmt: skip
def test_hooks_have_their_transformer_lens_name(hook, name):
    sae = make("relu")
    sae.metadata["hook"] = hook
    assert config(sae)["metadata"]["hook_name"] == name


def test_saelens_keys_say_what_the_sae_computes(tmp_path):
    save(make("topk"), tmp_path)
    cfg = json.loads((tmp_path / "cfg.json").read_text())
    assert cfg["architecture"] == "topk" and cfg["k"] == 3
    assert cfg["apply_b_dec_to_input"] is False and cfg["rescale_acts_by_decoder_norm"] is False
    assert cfg["metadata"]["hook_name"] == "blocks.2.hook_resid_pre"
    assert cfg["metadata"]["model_name"] == "toy" and cfg["metadata"]["context_size"] == 64


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


@pytest.mark.parametrize(
    ("ours", "theirs", "error", "said"),
    [
        ({}, {"architecture": "standard"}, DamagedError, "contradicts itself"),
        ({"format": 99}, {}, ModelError, "later version.*99"),
        (None, {"architecture": "wavy"}, ModelError, r"standard \| topk.*wavy"),
        (None, {"normalize_activations": "expected_average_only_in"}, ModelError,
         "normalize_activations"),
        (None, {"reshape_activations": "hook_z"}, ModelError, "reshape_activations"),
    ],
)  # fmt: skip
def test_a_topk_whose_configuration_says_otherwise_is_refused(ours, theirs, error, said, tmp_path):
    save(make("topk"), tmp_path)

    def change(cfg):
        cfg.update(theirs)
        if ours is None:
            del cfg["metadata"]["saeflow"]
        else:
            cfg["metadata"]["saeflow"].update(ours)

    edit(tmp_path, change)
    with pytest.raises(error, match=said):
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
    for change, said in (
        ({"W_dec": whole["W_dec"][:, :5].contiguous()}, r"W_dec does not have the shape"),
        ({"W_enc": whole["W_enc"].T.contiguous()}, "W_enc is the transpose"),
        ({"b_enc": None}, "b_enc is missing"),
        ({"b_enc": whole["b_enc"] / 0}, r"b_enc is not a number everywhere.* at \[0\]"),
    ):
        weights = {n: w for n, w in (whole | change).items() if w is not None}
        safetensors.torch.save_file(weights, file)
        with pytest.raises(DamagedError, match=said):
            load_sae(tmp_path)
    file.unlink()
    with pytest.raises(DamagedError, match="missing"):
        load_sae(tmp_path)


def test_a_missing_config_is_damage(tmp_path):
    save(make("relu"), tmp_path)
    (tmp_path / "cfg.json").unlink()
    with pytest.raises(DamagedError, match="configuration is missing"):
        load_sae(tmp_path)


def test_a_directory_without_an_sae_is_refused_with_the_known_formats(tmp_path):
    with pytest.raises(ModelError, match=r"dictionary_learning .* saelens"):
        load_sae(tmp_path)


@pytest.mark.parametrize("architecture", list(SETTINGS))
def test_the_evidence_says_what_the_sae_did(architecture, tmp_path):
    sae, x = make(architecture), torch.randn(50, 6)
    save(sae, tmp_path, x, rows="random numbers")
    facts = load_sae(tmp_path).metadata["evidence"]
    latents, x_hat = sae.encode(x), sae(x)
    assert facts["rows"] == "random numbers" and facts["n_rows"] == 50
    assert facts["l0"] == pytest.approx(float((latents > 0).sum(1).float().mean()))
    fvu = float((x - x_hat).square().sum() / (x - x.mean(0)).square().sum())
    assert facts["fvu"] == pytest.approx(fvu, rel=1e-5)
    assert facts["mean_norm"] == pytest.approx(float(x.norm(dim=1).mean()), rel=1e-5)
    assert facts["rms"] == pytest.approx(float(x.square().mean().sqrt()), rel=1e-5)
    sparsity = safetensors.torch.load_file(tmp_path / "sparsity.safetensors")["sparsity"]
    density = (latents > 0).float().mean(0)
    torch.testing.assert_close(10 ** sparsity.double(), density.double() + 1e-10, rtol=1e-5, atol=0)
    stored = safetensors.torch.load_file(tmp_path / "evidence.safetensors")
    assert torch.equal(stored["x"], x[:8])
    torch.testing.assert_close(stored["x_hat"], x_hat[:8])
    torch.testing.assert_close(stored["mean"], x.mean(0))
    torch.testing.assert_close(stored["std"], x.std(0, correction=0))


def test_a_topk_read_as_a_relu_fails_its_self_check_by_name(tmp_path):
    save(make("topk"), tmp_path, torch.randn(50, 6))

    def pretend(cfg):
        cfg["architecture"] = "standard"
        settings = {"l1": 0.1, "subtract_b_dec": False}
        cfg["metadata"]["saeflow"].update(architecture="relu", architecture_settings=settings)

    edit(tmp_path, pretend)
    with pytest.raises(ModelError, match="read as a relu SAE, its l0 is not") as error:
        load_sae(tmp_path)
    assert "accept 'evidence'" in str(error.value)
    assert load_sae(tmp_path, accept=["evidence"]).architecture == "relu"


@pytest.mark.parametrize("name", ["W_enc", "W_dec", "b_dec"])
def test_weights_that_are_not_those_saved_fail_the_self_check(name, tmp_path):
    sae = make("topk")
    save(sae, tmp_path, torch.randn(50, 6))
    other = {**sae.weights, name: (sae.weights[name] * 1.1).contiguous()}
    other = {n: w.contiguous() for n, w in other.items()}
    safetensors.torch.save_file(other, tmp_path / "sae_weights.safetensors")
    with pytest.raises(ModelError, match="does not reconstruct what it did"):
        load_sae(tmp_path)


def test_evidence_of_one_sae_does_not_go_on_with_its_copy(tmp_path):
    save(make("relu"), tmp_path, torch.randn(50, 6))
    save(load_sae(tmp_path), tmp_path / "copy")
    assert load_sae(tmp_path / "copy").metadata["evidence"] is None
