"""Scaling in training, and files that read activations as they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sae_recipes import OWN, plain
from sae_stores import SEQUENCE, make_activations, place, sparse_data, train_saes
from saeflow import registry
from saeflow.errors import ConfigError
from saeflow.sae.model import ARCHITECTURES, SAE, architecture_settings
from saeflow.sae.saved.load import load_sae
from saeflow.sae.scale import factor, fold
from saeflow.sae.training.rows import TrainingRows

NAMES = registry.names(ARCHITECTURES)
_VECTORS = ("b_enc", "b_dec", "b_gate", "b_mag", "r_mag")


def random_sae(architecture, *, subtract=None, d_in=6, d_sae=20):
    """Return an SAE in float64 all of whose biases and thresholds are different from zero."""
    values = dict(OWN[architecture])
    if subtract is not None:
        values["subtract_b_dec"] = subtract
    settings = architecture_settings(architecture, values)
    g = torch.Generator().manual_seed(7)
    rule = registry.load(ARCHITECTURES, architecture)
    x = torch.randn(50, d_in, generator=g, dtype=torch.float64)
    weights = {n: w for n, w in rule.initial(settings, d_sae, x, g).items() if n[0] != "_"}
    for name in set(weights) & set(_VECTORS):
        weights[name] = 0.3 * torch.randn(weights[name].shape, generator=g, dtype=torch.float64)
    if "threshold" in weights:
        shape = weights["threshold"].shape
        weights["threshold"] = 0.2 + torch.rand(shape, generator=g, dtype=torch.float64)
    return SAE(architecture, settings, weights), x


@pytest.mark.parametrize("subtract", [False, True])
@pytest.mark.parametrize("architecture", NAMES)
def test_the_folded_sae_does_to_raw_rows_what_the_other_did_to_scaled_ones(architecture, subtract):
    sae, x = random_sae(architecture, subtract=subtract)
    s = 3.7
    folded = SAE(architecture, sae.settings, fold(sae.weights, s, s))
    assert float(sae.encode(s * x).count_nonzero()) > 20
    torch.testing.assert_close(folded.encode(x), sae.encode(s * x) / s)
    torch.testing.assert_close(folded(x), sae(s * x) / s)
    assert torch.equal(folded.W_dec, sae.W_dec)  # its rows keep their norm


@pytest.mark.parametrize("architecture", NAMES)
def test_a_transcoder_is_folded_on_both_sides(architecture):
    sae, x = random_sae(architecture, subtract=False)
    folded = SAE(architecture, sae.settings, fold(sae.weights, 2.0, 0.3))
    torch.testing.assert_close(folded(x), sae(2.0 * x) / 0.3)
    torch.testing.assert_close(folded.encode(x), sae.encode(2.0 * x) / 0.3)
    assert torch.equal(folded.W_dec, sae.W_dec)


def test_a_weight_that_nobody_said_how_to_scale_is_refused():
    with pytest.raises(ConfigError, match="the weight W_skip scales"):
        fold({"W_skip": torch.eye(2)}, 2.0, 2.0)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("none", 1.0), ("mean_norm", math.sqrt(8) / 3), ("mean_square", math.sqrt(8) / 4),
     ("unit", 1 / 4)],
)  # fmt: skip
def test_a_factor_is_what_its_name_says(kind, expected):
    assert factor(kind, 8, mean_norm=3.0, mean_square=16.0) == pytest.approx(expected)


def test_activations_of_zero_cannot_be_scaled():
    with pytest.raises(ConfigError, match="all zero"):
        factor("unit", 8, mean_norm=0.0, mean_square=0.0)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Rows of which the first and last are unlike the others, BOS is huge, the test split too."""
    n = 66 * SEQUENCE
    x = sparse_data(n, 12, 20, mean_l0=3) + 0.01 * torch.randn(n, 12)
    x[: n // 20] *= 30
    x[::SEQUENCE] = 1e6
    x[64 * SEQUENCE :] *= 100
    kept = x[: 64 * SEQUENCE][torch.arange(64 * SEQUENCE) % SEQUENCE > 0]
    return make_activations(tmp_path_factory.mktemp("uneven"), x=x), kept


def test_statistics_are_those_of_all_training_rows_and_no_others(uneven):
    record, kept = uneven
    rows, exact = TrainingRows(record), kept.double().numpy()
    found = rows.moments
    assert found.n == len(exact) and rows.target_moments is found
    assert found.norm / found.n == pytest.approx(np.linalg.norm(exact, axis=1).mean(), rel=1e-12)
    assert found.square / found.n == pytest.approx((exact**2).sum(1).mean(), rel=1e-12)
    np.testing.assert_allclose(found.mean.numpy(), exact.mean(0), rtol=1e-11)
    covariance = np.cov(exact.T, bias=True)
    np.testing.assert_allclose(rows.covariance.numpy(), covariance, rtol=1e-9, atol=1e-10)


def test_a_draw_is_of_different_training_rows_and_of_its_seed_alone(uneven):
    record, kept = uneven
    rows = TrainingRows(record)
    first, again, other = (rows.draw(500, *seed).x for seed in ((1, 2), (1, 2), (1, 3)))
    assert torch.equal(first, again) and not torch.equal(first, other)
    known = {tuple(row) for row in kept.tolist()}
    drawn = {tuple(row) for row in first.tolist()}
    assert len(drawn) == 500 and drawn <= known
    for n in (len(kept) - 1, len(kept), 10**6):
        drawn = rows.draw(n, 0)
        assert len(drawn) == len(drawn.x.unique(dim=0)) == min(n, len(kept))
        assert drawn.target is drawn.x


@pytest.mark.parametrize("kind", ["mean_norm", "mean_square", "unit"])
@pytest.mark.parametrize("architecture", NAMES)
def test_training_scaled_is_training_on_scaled_activations(kind, architecture, uneven, tmp_path):
    record, kept = uneven
    exact = kept.double()
    norm = exact.norm(dim=1).mean() if kind == "mean_norm" else exact.square().sum(1).mean().sqrt()
    s = float((1.0 if kind == "unit" else math.sqrt(12)) / norm)
    x = torch.zeros(66 * SEQUENCE, 12)
    x[: 64 * SEQUENCE][torch.arange(64 * SEQUENCE) % SEQUENCE > 0] = kept * s
    scaled = make_activations(tmp_path / "scaled", x=x)
    recipe = {**plain()[architecture], "tokens": 512}
    works = place(tmp_path, "raw"), place(tmp_path, "by hand")
    train_saes([(works[0], {**recipe, "scale_input": kind})], record)
    train_saes([(works[1], recipe)], scaled)
    found, expected = (load_sae(work.final) for work in works)
    assert found.metadata["training"]["scale"] == [pytest.approx(s, rel=1e-9)] * 2
    folded = SAE(architecture, expected.settings, fold(expected.weights, s, s))
    for name, w in folded.weights.items():
        torch.testing.assert_close(
            found.weights[name], w, rtol=1e-3, atol=1e-3 * float(w.abs().max())
        )
    logs = [(work.final / "log.csv").read_text().splitlines()[-1].split(",") for work in works]
    mse = 3
    assert float(logs[0][mse]) == pytest.approx(float(logs[1][mse]) / s**2, rel=1e-3)
