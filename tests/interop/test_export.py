"""The peers load what we export, for each of our architectures, with the same codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from interop.conftest import D_SAE, assert_same
from saeflow import registry
from saeflow.errors import ModelError
from saeflow.sae.model import ARCHITECTURES, SAE, architecture_settings
from saeflow.sae.saved.foreign import export
from saeflow.sae.saved.save import save

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("interop")]

SETTINGS = {
    "relu": {"l1": 0.1},
    "topk": {"k": 9},
    "batchtopk": {"k": 9},
    "matryoshka": {"k": 9},
    "jumprelu": {"l0_coef": 0.1},
    "gated": {"l1": 0.1},
    "p_anneal": {"l1": 0.1},
}
CASES = [(name, subtracted) for name in SETTINGS for subtracted in (True, False)]


def make(name, subtracted):
    """Return an SAE whose every weight is far from where training starts."""
    values = {**SETTINGS[name], "subtract_b_dec": subtracted}
    settings = architecture_settings(name, values)
    g = torch.Generator().manual_seed(1)
    x = torch.randn(100, 64, generator=g)
    weights = registry.load(ARCHITECTURES, name).initial(settings, D_SAE, x, g)
    for key, w in weights.items():
        noise = torch.randn(w.shape, generator=g)
        weights[key] = w + (noise / w.shape[-1] ** 0.5 if w.ndim == 2 else 0.3 * noise)
    if "threshold" in weights:
        weights["threshold"] = weights["threshold"].abs() + 0.2
    header = {"hook": "resid_post.2", "model": {"name": "toy"}, "context_length": 64}
    return SAE(name, settings, weights, header)


def test_every_architecture_is_tried():
    assert set(registry.names(ARCHITECTURES)) == set(SETTINGS)


@pytest.mark.parametrize(("name", "subtracted"), CASES)
def test_saelens_reads_our_own_files(name, subtracted, peer, rows, tmp_path):
    sae = make(name, subtracted)
    save(sae, tmp_path, torch.randn(100, 64))
    assert_same(peer.ask("saelens_load", tmp_path, rows), sae, rows)


def test_the_snippet_of_the_documentation_runs(peer, rows, tmp_path):
    sae = make("topk", True)
    save(sae, tmp_path, torch.randn(100, 64))
    text = (Path(__file__).parents[2] / "docs" / "saes.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    code = re.sub(r'"results/saes/[^"]*"', repr(str(tmp_path)), code)
    assert_same(peer.ask("snippet", tmp_path, rows, code=code), sae, rows)


@pytest.mark.parametrize("norm", ["layer_norm", "constant_norm"])
def test_saelens_prepares_inputs_as_we_do(norm, peer, rows, tmp_path):
    sae = make("topk", True)
    sae.metadata["input_norm"] = norm
    save(sae, tmp_path)
    assert_same(peer.ask("saelens_load", tmp_path, rows), sae, rows)


@pytest.mark.parametrize(("name", "subtracted"), CASES)
def test_dictionary_learning_reads_what_we_export(name, subtracted, peer, rows, tmp_path):
    sae = make(name, subtracted)
    export(sae, tmp_path, "dictionary_learning")
    assert_same(peer.ask("dictionary_learning_load", tmp_path, rows), sae, rows)


@pytest.mark.parametrize("subtracted", [True, False])
def test_a_relu_sae_with_unit_rows_is_the_plain_autoencoder(subtracted, peer, rows, tmp_path):
    sae = make("relu", subtracted)
    sae.W_dec.div_(sae.W_dec.norm(dim=1, keepdim=True))
    export(sae, tmp_path, "dictionary_learning")
    expected = "AutoEncoder" if subtracted else "AutoEncoderNew"
    assert f'"dict_class": "{expected}"' in (tmp_path / "config.json").read_text()
    assert_same(peer.ask("dictionary_learning_load", tmp_path, rows), sae, rows)


@pytest.mark.parametrize("subtracted", [True, False])
def test_sparsify_reads_what_we_export(subtracted, peer, rows, tmp_path):
    sae = make("topk", subtracted)
    export(sae, tmp_path, "sparsify")
    assert_same(peer.ask("sparsify_load", tmp_path, rows), sae, rows)


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "topk"])
def test_sparsify_cannot_express_the_others(name, tmp_path):
    with pytest.raises(ModelError, match="sparsify's directory cannot express"):
        export(make(name, True), tmp_path, "sparsify")
