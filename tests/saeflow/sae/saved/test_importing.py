"""SAEs from elsewhere become ours, checked against where they shall be used."""

from __future__ import annotations

import warnings

import pytest
import safetensors.torch
import torch
from huggingface_hub import constants

from foreign_files import D_IN, D_SAE, json_file, random, weights
from local_hub import COMMIT, local_hub
from sae_reference import random_weights
from sae_stores import content, place, task_of
from saeflow import registry
from saeflow.config.saes import Import
from saeflow.config.schema import choices
from saeflow.errors import ConfigError, ModelError
from saeflow.files import read_json, write_json
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.fits import FitWarning
from saeflow.sae.saved.importing import import_saes, looks_centred
from saeflow.sae.saved.load import load_sae
from saeflow.sae.saved.save import save
from saeflow.work import hold
from tiny_stores import raise_failure

MODEL = {"name": "toy", "architecture": "Toy", "weights_sha256": "m" * 64, "d_model": D_IN}
SETTINGS = {
    "hook": "resid_post.2", "format": "auto", "entry": None, "center_input": None, "accept": [],
    "architecture": None, "path_sha256": "p" * 64,
}  # fmt: skip


def run(root, path, *, model=None, **settings):
    """Import an SAE and return it as it is read back."""
    record = root / "model.json"
    write_json(record, {**MODEL, **(model or {})})
    with hold(root / "sae.json", "i" * 64) as work:
        raise_failure([imported(work, {**SETTINGS, **settings}, record, path)])
    return load_sae(root / "sae.json")


def imported(work, settings, model, path):
    """Import an SAE in a pass of its own and return the task."""
    task = task_of(work, settings, model=model)
    task.arguments = {} if path is None else {"path": str(path)}
    import_saes([task])
    return task


def theirs(path, *, cfg=None, tensors=None):
    """Write a SAELens directory that others made."""
    path.mkdir(parents=True)
    full = {"architecture": "standard", "d_in": D_IN, "d_sae": D_SAE, "apply_b_dec_to_input": True,
            "metadata": {"sae_lens_version": "6.5.0", "hook_name": "blocks.2.hook_resid_post"},
            **(cfg or {})}  # fmt: skip
    json_file(path / "cfg.json", full)
    safetensors.torch.save_file(tensors or weights(), path / "sae_weights.safetensors")
    return path


def ours(path, **metadata):
    w = random_weights(D_IN, D_SAE, seed=0, dtype=torch.float32)
    header = {"hook": "resid_post.2", "model": dict(MODEL), "identity": "x" * 64, **metadata}
    sae = SAE("topk", architecture_settings("topk", {"k": 3}), w, header)
    save(sae, path, random(40, D_IN, seed=4))
    return path


def test_an_sae_of_others_becomes_one_of_ours(tmp_path):
    sae = run(tmp_path, theirs(tmp_path / "theirs"))
    w, x = weights(), random(30, D_IN, seed=1)
    torch.testing.assert_close(sae.encode(x), ((x - w["b_dec"]) @ w["W_enc"] + w["b_enc"]).relu())
    header = read_json(tmp_path / "sae.json")
    assert header["hook"] == "resid_post.2" and header["model"]["weights_sha256"] == "m" * 64
    assert header["imported"]["hook"] == "resid_post.2" and header["format_read"] == "saelens"
    assert header["d_in"] == D_IN and header["d_sae"] == D_SAE
    (log,) = tmp_path.glob("sae.*/log.csv")
    assert log.read_text().startswith("step,tokens,loss") and log.read_text().count("\n") == 1
    assert not any(str(tmp_path) in str(value) for value in header.values())


@pytest.mark.parametrize(
    ("log10", "l0"), [([-1.0, -2.0], 0.11), ([0.0, -10.0], 1 + 1e-10), ([float("nan"), 0.0], None)]
)
def test_the_l0_that_its_files_tell_of_is_in_the_header(tmp_path, log10, l0):
    source = theirs(tmp_path / "theirs")
    sparsity = {"sparsity": torch.tensor(log10)}
    safetensors.torch.save_file(sparsity, source / "sparsity.safetensors")
    assert run(tmp_path, source).metadata.get("l0") == pytest.approx(l0)


def test_an_sae_of_ours_keeps_its_evidence(tmp_path):
    sae = run(tmp_path, ours(tmp_path / "ours"))
    assert sae.architecture == "topk" and sae.settings.k == 3
    assert sae.metadata["evidence"] == load_sae(tmp_path / "ours").metadata["evidence"]
    assert "identity" not in sae.metadata


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"d_model": D_IN + 1}}, "differ in width"),
        ({"hook": "resid_post.1"}, r"another hook.*resid_post\.1.*resid_post\.2"),
        ({"architecture": "gated"}, "another architecture.*gated.*relu"),
        ({"format": "sparsify"}, "weights are missing"),
    ],
)
def test_an_sae_that_does_not_fit_is_refused(change, message, tmp_path):
    with pytest.raises((ModelError, ValueError), match=message):
        run(tmp_path, theirs(tmp_path / "theirs"), **change)
    assert not (tmp_path / "sae.json").exists()


def test_one_that_fails_leaves_the_others_alone(tmp_path):
    """A missing file, and an SAE for another hook, among two that are as they should be."""
    record, good = tmp_path / "model.json", theirs(tmp_path / "theirs")
    write_json(record, MODEL)
    tasks = []
    for name, path in (("none", tmp_path / "none"), ("a", good), ("hook", good), ("b", good)):
        settings = {**SETTINGS, "hook": "resid_post.1" if name == "hook" else SETTINGS["hook"]}
        tasks.append(task_of(place(tmp_path, name), settings, model=record))
        tasks[-1].arguments = {"path": str(path)}
    import_saes(tasks)
    none, a, hook, b = tasks
    assert "none" in str(none.error) and "another hook" in str(hook.error)
    assert not none.output.exists() and not hook.output.exists()
    assert content(a.work) == content(b.work)


def test_another_hook_may_be_accepted(tmp_path):
    path = theirs(tmp_path / "theirs")
    sae = run(tmp_path, path, hook="resid_post.1", accept=["hook"])
    assert sae.metadata["hook"] == "resid_post.1"
    assert sae.metadata["imported"]["accepted"] == ["hook"]


def test_one_of_ours_of_another_model_is_refused_unless_accepted(tmp_path):
    path = ours(tmp_path / "ours", model={"name": "other", "weights_sha256": "o" * 64})
    with pytest.raises(ModelError, match="other weights"):
        run(tmp_path, path)
    assert run(tmp_path / "b", path, accept=["model"]).metadata["model"]["name"] == "toy"


def test_center_input_is_what_the_files_or_the_configuration_say(tmp_path):
    options = {"sae_lens_version": "6.5.0", "hook_name": "blocks.2.hook_resid_post",
               "model_from_pretrained_kwargs": {"center_writing_weights": True}}  # fmt: skip
    path = theirs(tmp_path / "theirs", cfg={"metadata": options})
    assert run(tmp_path / "a", path).input_norm == "center"
    assert run(tmp_path / "b", path, center_input=False).input_norm == "none"
    with pytest.raises(ConfigError, match="files of others"):
        run(tmp_path / "c", ours(tmp_path / "ours"), center_input=True)


def test_weights_that_look_centred_are_mentioned(tmp_path):
    d, n = 64, 100
    g = torch.Generator().manual_seed(0)
    w = {
        "W_enc": torch.randn(d, n, generator=g),
        "b_enc": torch.randn(n, generator=g),
        "W_dec": torch.randn(n, d, generator=g),
        "b_dec": torch.randn(d, generator=g),
    }
    centred = {
        **w,
        "W_dec": w["W_dec"] - w["W_dec"].mean(1, keepdim=True),
        "b_dec": w["b_dec"] - w["b_dec"].mean(),
    }
    cfg = {"d_in": d, "d_sae": n}
    model = {"d_model": d}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sae = run(tmp_path / "a", theirs(tmp_path / "plain", cfg=cfg, tensors=w), model=model)
        assert not looks_centred(sae)
        path = theirs(tmp_path / "centred", cfg=cfg, tensors=centred)
        run(tmp_path / "b", path, model=model, center_input=False)
        run(tmp_path / "c", path, model=model, accept=["center_input"])
    with pytest.warns(FitWarning, match="center_input: true"):
        assert looks_centred(run(tmp_path / "d", path, model=model))


def test_the_configuration_knows_every_format():
    known = choices(Import.model_fields["format"].annotation)
    assert set(known) == {"auto", *registry.names("sae.formats")}


def test_an_sae_comes_from_the_hub_once_and_then_without_a_network(tmp_path, monkeypatch):
    path = theirs(tmp_path / "theirs")
    files = {f"layer.2/{p.name}": p.read_bytes() for p in path.iterdir()}
    files["layer.3/cfg.json"] = b"{}"
    from_hub = {"hub": "org/saes", "revision": COMMIT, "folder": "layer.2", "path_sha256": None}
    with local_hub({"models/org/saes": files}) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("saeflow.hub._WAITS_S", (0.01, 0.01))
        sae = run(tmp_path / "a", None, **from_hub)
        assert not any("layer.3/cfg.json" in request for request in hub.requests)
        with pytest.raises(ConfigError, match="no such file or folder"):
            run(tmp_path / "b", None, **{**from_hub, "folder": "layer.9"})
    assert sae.architecture == "relu" and "imported" in sae.metadata
    again = run(tmp_path / "c", None, **from_hub)  # the hub is gone
    assert torch.equal(again.W_dec, sae.W_dec)
