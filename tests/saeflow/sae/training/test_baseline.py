"""Baselines: their known answers, and that they are SAEs like any other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sae_stores import (
    SEQUENCE,
    content,
    make_activations,
    place,
    sparse_data,
    task_of,
    train_saes,
)
from saeflow import registry
from saeflow.errors import ConfigError
from saeflow.measures.reconstruction import evaluated, reconstruct
from saeflow.metrics import reconstruction
from saeflow.sae.baselines import BASELINES
from saeflow.sae.model import ARCHITECTURES
from saeflow.sae.saved.load import load_sae
from saeflow.sae.training.baseline import baseline
from saeflow.sae.training.rows import TrainingRows
from saeflow.sae.training.sweep import train_sweep

RECIPES = {
    "identity": {}, "mean": {}, "pca": {"components": 3}, "random": {"k": 4}, "zero": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    x = sparse_data(66 * SEQUENCE, 12, 20, mean_l0=3) + 5
    kept = x[: 64 * SEQUENCE][torch.arange(64 * SEQUENCE) % SEQUENCE > 0]
    return make_activations(tmp_path_factory.mktemp("store"), x=x), kept.double().numpy()


def make(store, name, **settings):
    return baseline({"architecture": name, "seed": 0, **settings}, TrainingRows(store[0]))


def fvu(sae, x):
    x_hat = sae(torch.from_numpy(x).float()).double().numpy()
    return ((x_hat - x) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()


def test_every_baseline_is_tested_here_and_is_of_an_architecture():
    assert set(RECIPES) == set(BASELINES)
    assert set(BASELINES.values()) <= set(registry.names(ARCHITECTURES))


def test_a_baseline_of_a_part_is_fitted_to_it(store):
    rows = TrainingRows(store[0], part="2/2")
    settings = {"architecture": "mean", "part": "2/2", "seed": 0}
    b_dec = baseline(settings, rows).weights["b_dec"]
    half = store[1][len(store[1]) // 2 :]
    np.testing.assert_allclose(b_dec.numpy(), half.mean(0), rtol=1e-6)
    assert {*map(tuple, rows.draw(10_000, 0).x.tolist())} == {*map(tuple, half.tolist())}


def test_identity_gives_the_very_bits_back(store):
    sae, x = make(store, "identity"), torch.from_numpy(store[1]).float()
    assert torch.equal(sae(x), x)
    assert int(sae.encode_sparse(x).counts.max()) <= 12


def test_zero_gives_zero_and_explains_nothing(store):
    sae, x = make(store, "zero"), store[1]
    assert not sae(torch.from_numpy(x).float()).any()
    assert fvu(sae, x) == pytest.approx((x**2).sum() / ((x - x.mean(0)) ** 2).sum(), rel=1e-6)


def test_the_mean_of_the_training_rows_has_an_fvu_of_one_on_them(store):
    sae = make(store, "mean")
    assert fvu(sae, store[1]) == pytest.approx(1.0, abs=1e-6)
    assert not sae.encode_sparse(torch.from_numpy(store[1]).float()).counts.any()


def test_the_largest_entry_of_a_principal_component_is_positive(store):
    rows = make(store, "pca").W_dec[:12]
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    assert bool((largest > 0).all())


@pytest.mark.parametrize("n", [1, 3, 11, None])
def test_pca_is_numpys_on_all_rows(n, store):
    sae, x = make(store, "pca", components=n), store[1]
    centred = x - x.mean(0)
    _, singular, vectors = np.linalg.svd(centred, full_matrices=False)
    leading = vectors[:n]
    expected = x.mean(0) + centred @ leading.T @ leading
    x_hat = sae(torch.from_numpy(x).float()).double().numpy()
    np.testing.assert_allclose(x_hat, expected, rtol=1e-4, atol=1e-4)
    left = (singular[n:] ** 2).sum() / (singular**2).sum() if n else 0.0
    assert fvu(sae, x) == pytest.approx(left, abs=1e-6)
    active = sae.encode_sparse(torch.from_numpy(x).float()).counts
    assert int(active.max()) <= (n or 12)


def test_no_sae_of_so_many_latents_beats_pca_of_as_many_components(store):
    found = [fvu(make(store, "pca", components=n), store[1]) for n in range(1, 13)]
    assert found == sorted(found, reverse=True)


def test_more_components_than_dimensions_are_refused(store):
    with pytest.raises(ConfigError, match="at most 12.*got 13"):
        make(store, "pca", components=13)


def test_a_random_dictionary_has_the_size_that_fits_best(store):
    sae, x = make(store, "random", k=4, expansion=3), torch.from_numpy(store[1]).float()
    assert sae.d_sae == 36 and int(sae.encode_sparse(x).counts.max()) <= 4
    found = fvu(sae, store[1])
    assert 0 < found < 1
    for other in (0.9, 1.1):
        scaled = {**sae.weights, "W_dec": sae.W_dec * other}
        assert fvu(type(sae)(sae.architecture, sae.settings, scaled), store[1]) > found


def test_seeds_make_other_random_dictionaries_and_no_other_mean(store):
    def pair(name, **settings):
        rows = TrainingRows(store[0])
        return [
            baseline({"architecture": name, "seed": seed, **settings}, rows).W_enc
            for seed in (0, 1)
        ]

    assert not torch.equal(*pair("random", k=4))
    assert torch.equal(*pair("pca"))


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_baseline_is_trained_read_and_measured_like_an_sae(name, store, tmp_path):
    settings = {"architecture": name, "seed": 0, **RECIPES[name]}
    others = {"architecture": "topk", "k": 2, "expansion": 2, "batch_size": 128, "seed": 0}
    alone, first, second = (place(tmp_path, n) for n in ("alone", "first", "second"))
    train_saes([(alone, settings)], store[0])
    train_saes([(first, others), (second, settings)], store[0])
    assert first.finished and content(alone) == content(second)
    sae = load_sae(alone.final)
    assert sae.metadata["baseline"] == name and sae.metadata["hook"] == "resid_post.0"
    assert alone.manifest["settings"] == settings
    (result,) = reconstruct([sae], evaluated(store[0]))
    if name == "identity":
        assert reconstruction.fvu(result.sums) == 0
    assert reconstruction.l0(result.sums) <= 12


def test_a_baseline_that_fails_leaves_the_others_alone(store, tmp_path):
    recipes = {"bad": {"architecture": "pca", "components": 13}, "good": {"architecture": "mean"}}
    tasks = [
        task_of(place(tmp_path, name), {**recipe, "seed": 0}, activations=store[0])
        for name, recipe in recipes.items()
    ]
    train_sweep(tasks)
    assert "fewer principal components" in str(tasks[0].error) and not tasks[0].finished
    assert tasks[1].error is None and tasks[1].finished
