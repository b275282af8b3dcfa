"""Fixtures: small random models, token ids for them, and one published as the workflow does it."""

from __future__ import annotations

import pytest
import torch

from local_hub import local_hub
from saeflow.models.fetch import fetch_model
from saeflow.work import hold
from tiny_models import FAMILIES, make_model, make_tokenizer


@pytest.fixture(params=["gpt2", "gpt_neox", "llama"])
def model(request):
    """One model of each of the three families that the workflow's presets use."""
    return make_model(request.param)


@pytest.fixture(params=sorted(FAMILIES))
def any_model(request):
    """One model of every family with known attribute names."""
    return make_model(request.param)


@pytest.fixture
def ids():
    """Token ids (3, 9), none of them special."""
    return torch.randint(3, 61, (3, 9), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def directory(tmp_path):
    """A Hugging Face directory with a small GPT-NeoX and its tokenizer, and other files."""
    path = tmp_path / "local"
    make_model("gpt_neox").save_pretrained(path)
    make_tokenizer().save_pretrained(path)
    (path / "training.log").write_text("not needed")
    (path / "modeling_own.py").write_text("raise SystemExit('this code must not run')")
    return path


@pytest.fixture
def record(tmp_path, directory):
    """The published record of that model."""
    output = tmp_path / "results" / "models" / "tiny" / "model.json"
    with hold(output, "a" * 64) as work:
        fetch_model(work, {}, path=directory)
        work.publish()
    return output


@pytest.fixture
def hub(directory, monkeypatch, tmp_path):
    """A loopback hub with that model under org/tiny, and an empty cache."""
    import huggingface_hub.constants as constants

    files = {file.name: file.read_bytes() for file in directory.iterdir()}
    files["onnx/model.safetensors"] = b"another format"
    with local_hub({"models/org/tiny": files}) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("saeflow.hub._WAITS_S", (0.01, 0.01))
        yield server
