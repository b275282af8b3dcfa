"""Training on rows that are normalised one by one, and SAEs that do so with what they read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from sae_recipes import plain
from sae_stores import SEQUENCE, make_activations, place, sparse_data, train_saes
from saeflow import registry
from saeflow.errors import ConfigError, ModelError
from saeflow.sae.model import ARCHITECTURES
from saeflow.sae.saved.fits import load_fitting
from saeflow.sae.saved.foreign import Foreign, as_sae
from saeflow.sae.saved.load import load_sae
from saeflow.sae.saved.tensors import read_tensors
from saeflow.sae.training.train import recipe_of

NAMES = registry.names(ARCHITECTURES)
D = 12
N = 66 * SEQUENCE
# norms that grow with the position, as those of the first tokens do, and a mean that is not zero
GROWTH = 1 + (torch.arange(N) % SEQUENCE).float() / 4
X = (sparse_data(N, D, 20, mean_l0=3) + 0.5) * GROWTH[:, None]


def by_hand(kind, x):
    """Return rows as the option's description has them, in NumPy."""
    x = x.double().numpy()
    if kind == "constant_norm":
        return x * np.sqrt(D) / np.linalg.norm(x, axis=1, keepdims=True)
    return (x - x.mean(1, keepdims=True)) / (x.std(1, ddof=1, keepdims=True) + 1e-5)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return make_activations(tmp_path_factory.mktemp("raw"), x=X, dtype="float32")


def trained(root, activations, name, **settings):
    work = place(root, name)
    train_saes([(work, {**plain()[name], "tokens": 1024, **settings})], activations)
    return work.final


@pytest.mark.parametrize("kind", ["constant_norm", "layer_norm"])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_training_on_rows_that_were_normalised_before(name, kind, raw, tmp_path):
    rows = torch.from_numpy(by_hand(kind, X)).float()
    normal = make_activations(tmp_path / "normal", x=rows, dtype="float32")
    found = trained(tmp_path / "a", raw, name, normalize_input=kind)
    expected = trained(tmp_path / "b", normal, name)
    own, other = load_sae(found), load_sae(expected)
    assert own.input_norm == kind and other.input_norm == "none"
    for weight, w in other.weights.items():
        torch.testing.assert_close(own.weights[weight], w, rtol=1e-2, atol=1e-3)
    logs = [(d / "log.csv").read_text().splitlines()[-1].split(",") for d in (found, expected)]
    np.testing.assert_allclose(*(np.array(log, float) for log in logs), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("kind", ["constant_norm", "layer_norm"])
def test_an_sae_reads_raw_rows_and_gives_raw_ones_back_whatever_their_norm(kind, raw, tmp_path):
    sae = load_sae(trained(tmp_path, raw, "relu", normalize_input=kind))
    x = X[1:33]
    rows = by_hand(kind, x)
    w = {name: tensor.double().numpy() for name, tensor in sae.weights.items()}
    latents = np.maximum(rows @ w["W_enc"] + w["b_enc"], 0)  # relu recipes subtract nothing
    y = latents @ w["W_dec"] + w["b_dec"]
    taken = x.double().numpy()
    if kind == "constant_norm":
        y = y * np.linalg.norm(taken, axis=1, keepdims=True) / np.sqrt(D)
    else:
        y = y * taken.std(1, ddof=1, keepdims=True) + taken.mean(1, keepdims=True)
    np.testing.assert_allclose(sae(x).numpy(), y, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(sae(100 * x), 100 * sae(x), rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(sae.encode(100 * x), sae.encode(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [("constant_norm", "constant_norm_rescale"), ("layer_norm", "layer_norm")],
)
def test_saelens_is_told_of_it_and_what_it_writes_is_read_so(kind, theirs, raw, tmp_path):
    directory = trained(tmp_path, raw, "topk", normalize_input=kind)
    cfg = json.loads((directory / "cfg.json").read_text())
    assert cfg["normalize_activations"] == theirs
    sae = load_sae(directory)
    weights = read_tensors(directory / "sae_weights.safetensors", remedy="")
    back = as_sae(Foreign(cfg, weights, {}), where=directory, origin="saelens")
    torch.testing.assert_close(back(X[:50]), sae(X[:50]))


def test_the_evidence_of_such_an_sae_is_of_raw_rows(raw, tmp_path):
    directory = trained(tmp_path, raw, "topk", normalize_input="constant_norm")
    facts = json.loads((directory / "cfg.json").read_text())["metadata"]["saeflow"]["evidence"]
    assert facts["mean_norm"] > 2 * D**0.5  # of normalised rows it is sqrt(d)
    assert load_fitting(directory, raw).input_norm == "constant_norm"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale_input": "unit"}, "scale_input: .*have a scale already"),
        ({"target": "mlp_out.0"}, "normalize_input: .*a transcoder"),
        ({"normalize_input": "batch_norm"}, "normalize_input.*batch_norm"),
    ],
)
def test_what_cannot_be_put_back_is_refused(settings, message):
    recipe = {**plain()["topk"], "normalize_input": "layer_norm", "subtract_b_dec": False}
    with pytest.raises(ConfigError, match=message):
        recipe_of({**recipe, **settings})


def test_a_recipe_without_it_has_the_settings_of_before():
    assert "normalize_input" not in recipe_of(plain()["topk"]).plain()


def test_dead_latents_are_given_directions_of_normalised_rows(raw, tmp_path):
    sae = load_sae(
        trained(
            tmp_path, raw, "relu", normalize_input="constant_norm", l1=1.0, resample_tokens=384,
            resample_until_tokens=2000, dead_tokens=1, tokens=2048,
        )
    )  # fmt: skip
    assert float(sae.b_dec.norm()) < 2 * D**0.5  # raw rows are up to nine times as long
    with pytest.raises(ModelError, match="encode_sparse"):
        sae.decode(sae.encode(X[:3]))
