"""What training recovers where the answer is known: directions, and how strong they come out."""

from __future__ import annotations

import pytest
import torch

from known_truth import Dictionary, train

# Strengths are 0.5 to 1.5: thresholds start at the lowest, and the kernel reaches both ways.
JUMP = {"bandwidth": 0.5, "init_threshold": 0.5, "aux_coef": 1 / 32}
SMALL = {"tokens": 20_000, "batch_size": 64, "learning_rate": 2e-2, "log_tokens": 20_000}
SMALL_RECIPES = {
    "topk": {"architecture": "topk", "k": 2},
    "jumprelu": {"architecture": "jumprelu", "l0_coef": 0.1, **JUMP},
    "relu": {"architecture": "relu", "error": "sum", "l1": 0.6},
    "p_anneal": {"architecture": "p_anneal", "l1": 0.6, "p_end": 0.5},
    "gated": {"architecture": "gated", "l1": 1.2},
}
FULL_RECIPES = {
    "topk": {"architecture": "topk", "k": 4, "batch_size": 512, "dead_tokens": 10_000},
    "jumprelu": {
        "architecture": "jumprelu",
        "l0_coef": 0.05,
        "expansion": 8,
        "batch_size": 256,
        "dead_tokens": 5_000,
        **JUMP,
    },
}


@pytest.mark.parametrize(
    ("name", "least"),
    [("topk", 0.97), ("jumprelu", 0.9), ("relu", 0.97), ("p_anneal", 0.9), ("gated", 0.92)],
)
def test_twice_as_many_directions_as_dimensions_are_recovered(name, least, tmp_path):
    truth = Dictionary.random(32, 16, seed=0, mean_l0=1)
    settings = {"expansion": 4, "dead_tokens": 1_000, **SMALL, **SMALL_RECIPES[name]}
    untrained = train(truth, {**settings, "tokens": 64}, tmp_path / "untrained")
    assert float(truth.recovery(untrained).mean()) < 0.75
    trained = train(truth, settings, tmp_path / "trained")
    assert float(truth.recovery(trained).mean()) >= least


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FULL_RECIPES))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_256_directions_in_64_dimensions_are_recovered(name, seed, tmp_path):
    truth = Dictionary.random(256, 64, seed=seed, mean_l0=4)
    settings = {"expansion": 4, "tokens": 1_000_000, "learning_rate": 6e-3, "log_tokens": 10**6}
    sae = train(truth, {**settings, **FULL_RECIPES[name]}, tmp_path, seed=seed)
    assert float(truth.recovery(sae).mean()) >= 0.97
    found = sae.encode_sparse(truth.sample(10_000, torch.Generator().manual_seed(99)))
    assert 3 < float(found.counts.float().mean()) < 5


@pytest.mark.parametrize(
    ("name", "settings", "expected", "tolerance"),
    [
        ("relu", {"l1": 0.5, "error": "sum"}, 0.25, 0.1),
        ("norm-weighted", {"architecture": "relu", "l1": 0.5, "error": "sum",
                           "norm_weighted": True}, 0.25, 0.1),
        ("gated", {"l1": 0.5}, 0.0, None),
        ("p_anneal", {"l1": 0.5}, 0.0, None),
        ("jumprelu", {"l0_coef": 0.1, **JUMP}, 0.0, None),
        ("topk", {"k": 2}, 0.0, None),
    ],
)  # fmt: skip
def test_an_l1_penalty_shrinks_orthogonal_features_and_the_others_hardly(
    name, settings, expected, tolerance, tmp_path
):
    # With the summed error each feature that is there costs (g - a)^2 + l1 a: a = g - l1 / 2, and
    # a bias that is trained makes it l1 / (2 (1 - p)).
    p = 1 / 16
    truth = Dictionary.orthogonal(16, seed=0, mean_l0=1, strengths=(1.0, 2.0))
    common = {**SMALL, "expansion": 2, "center": "zero", "dead_tokens": 2_000}
    sae = train(truth, {**common, "architecture": name, **settings}, tmp_path)
    found = float(truth.shortfall(sae, 1.5).mean())
    if expected:
        assert found == pytest.approx(expected / (1 - p), rel=tolerance)
    else:
        assert abs(found) < 0.25 / 4


@pytest.mark.slow
def test_orthogonal_features_shrink_by_half_the_penalty_times_the_width(tmp_path):
    # the post's loss: mean over d of the squared error + l1 sum f, features of one strength on a
    # share p of the inputs; derived in test_relu.py
    d, l1, p = 64, 0.0125, 0.01
    truth = Dictionary.orthogonal(d, seed=0, mean_l0=p * d, strengths=(1.5, 1.5))
    settings = {
        "architecture": "relu", "l1": l1, "expansion": 2, "tokens": 1_000_000, "batch_size": 128,
        "learning_rate": 4e-3, "log_tokens": 10**6, "center": "zero",
    }  # fmt: skip
    sae = train(truth, settings, tmp_path)
    assert float(truth.recovery(sae).min()) > 0.99
    shrinkage = truth.shortfall(sae, 1.5)
    assert float(shrinkage.mean()) == pytest.approx(l1 * d / 2, rel=0.02)
    assert float((shrinkage / (l1 * d / 2 / (1 - p)) - 1).abs().max()) < 0.02
