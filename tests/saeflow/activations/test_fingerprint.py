import math

import numpy as np
import pytest
import torch

from saeflow.activations.fingerprint import Fingerprint
from saeflow.activations.reader import open_store
from saeflow.tokens.flags import excluded
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_store, make_tokens, save_model


def sample(n, d=16, seed=0, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * scale + shift


UNIT = Fingerprint(np.zeros(16, np.float32), np.ones(16, np.float32), 1.0)


def test_a_sample_of_the_same_distribution_differs_by_its_size_only():
    found = UNIT.compare(sample(4_000))
    assert found.shift == pytest.approx(4_000**-0.5, rel=0.5)
    assert found.spread == pytest.approx((math.pi * 4_000) ** -0.5, rel=0.5)
    assert found.rms_ratio == pytest.approx(1.0, abs=0.02)
    assert found.alike()


def test_a_shift_and_a_scale_are_told_in_standard_deviations_and_logarithms():
    moved = UNIT.compare(sample(4_000, shift=2.0))
    assert moved.shift == pytest.approx(2.0, abs=0.05)
    scaled = UNIT.compare(sample(4_000, scale=3.0))
    assert scaled.spread == pytest.approx(math.log(3), abs=0.05)
    assert scaled.rms_ratio == pytest.approx(3.0, abs=0.1)
    assert not moved.alike() and not scaled.alike()


def test_a_few_rows_are_never_called_different():
    assert UNIT.compare(sample(20, shift=2.0)).alike()


def test_a_dimension_that_never_moves_decides_nothing_by_rounding():
    still = Fingerprint(*(np.concatenate([v[:15], [0]]) for v in UNIT[:2]), 1.0)
    x = sample(4_000)
    x[:, 15] = 1e-7
    assert still.compare(x).alike()


@pytest.mark.parametrize("shape", [(10, 15), (0, 16), (16,)])
def test_a_sample_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="sample"):
        UNIT.compare(np.zeros(shape))


def test_the_fingerprint_leaves_out_excluded_rows(tmp_path):
    x = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    x[::40] = 1e4
    store = open_store(make_store(tmp_path, x, {"train": [40] * 10, "validation": [], "test": []}))
    found = Fingerprint.of(store)
    ordinary = x[torch.from_numpy(~excluded(store.rows.flags))].double()
    np.testing.assert_allclose(found.mean, ordinary.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.std, ordinary.std(0, correction=0), rtol=1e-5)
    assert found.rms == pytest.approx(float(ordinary.square().mean().sqrt()), rel=1e-6)


def test_a_look_alike_hook_and_another_model_are_told_from_the_own(tmp_path):
    """All of the same width, from tokens of the same kind but not the same ones."""
    tokens = {
        name: make_tokens(
            tmp_path / name, {"train": [32] * 30, "validation": [], "test": []}, seed=seed
        )
        for name, seed in (("a", 0), ("b", 1))
    }
    stores = {}
    for name, text, model_seed in (("own", "a", 0), ("again", "b", 0), ("model", "b", 5)):
        record = save_model(
            make_model("gpt_neox", seed=model_seed), tmp_path / name / "m" / "model.json"
        )
        hooks = ["resid_pre.1", "resid_post.1", "mlp_out.1"]
        stores[name] = harvest_hooks(tmp_path / name, hooks, record, tokens[text])

    def rows(store):
        return store.activations[:][~excluded(store.rows.flags)]

    own = Fingerprint.of(open_store(stores["own"]["resid_post.1"]))
    assert own.compare(rows(open_store(stores["again"]["resid_post.1"]))).alike()
    assert not own.compare(rows(open_store(stores["again"]["mlp_out.1"]))).alike()
    assert not own.compare(rows(open_store(stores["model"]["resid_post.1"]))).alike()
