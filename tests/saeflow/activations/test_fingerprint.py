import numpy as np
import pytest
import torch

from saeflow.activations.fingerprint import TOLERANCE, Fingerprint
from saeflow.activations.reader import open_store
from saeflow.tokens.flags import excluded
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_store, make_tokens, save_model


def sample(n, d=16, seed=0, scale=1.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * scale


def test_the_distance_is_the_root_mean_square_of_log_ratios():
    std = np.array([1.0, 2.0, 4.0])
    own = Fingerprint(std, 1000)
    assert own.distance(own) == 0
    assert own.distance(Fingerprint(2 * std, 1000)) == pytest.approx(np.log(2))
    assert own.distance(Fingerprint(std * [1, 1, np.e], 1000)) == pytest.approx(3**-0.5)


def test_a_sample_of_the_same_distribution_differs_by_its_size_only():
    one, other = (Fingerprint.of_rows(sample(4_000, seed=seed)) for seed in (0, 1))
    assert one.distance(other) == pytest.approx(4_000**-0.5, rel=0.5)  # of both: 2 / (2 n)
    assert one.alike(other)
    assert not one.alike(Fingerprint.of_rows(sample(4_000, scale=1.3)))


def test_few_rows_must_differ_by_more_to_be_called_different():
    own = Fingerprint(np.ones(16), 100_000)
    assert not own.alike(Fingerprint(np.full(16, 1.3), 100_000))
    assert own.alike(Fingerprint(np.full(16, 1.3), 20))
    assert own.limit(Fingerprint(own.std, 50)) - TOLERANCE == pytest.approx(0.1, rel=0.01)


def test_a_dimension_that_never_moves_is_equal_to_itself():
    still = Fingerprint(np.array([0.0, 1.0]), 1000)
    assert still.distance(Fingerprint(np.array([0.0, 2.0]), 1000)) < 2 * np.log(2)
    nothing = Fingerprint(np.zeros(2), 1000)
    assert nothing.distance(nothing) == 0


@pytest.mark.parametrize("shape", [(0, 16), (16,)])
def test_a_sample_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="rows of activations"):
        Fingerprint.of_rows(np.zeros(shape))


def test_fingerprints_of_other_widths_are_not_compared():
    with pytest.raises(ValueError, match="widths 2 and 3"):
        Fingerprint(np.ones(2), 9).distance(Fingerprint(np.ones(3), 9))


def test_the_fingerprint_leaves_out_excluded_rows(tmp_path):
    x = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    x[::40] = 1e4
    store = open_store(make_store(tmp_path, x, {"train": [40] * 10, "validation": [], "test": []}))
    found = Fingerprint.of(store)
    ordinary = x[torch.from_numpy(~excluded(store.rows.flags))].double()
    np.testing.assert_allclose(found.std, ordinary.std(0, correction=0), rtol=1e-5)
    assert found.n_rows == len(ordinary)
    assert found.distance(Fingerprint.of_rows(ordinary.numpy())) < 1e-5


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
    again, model = stores["again"], stores["model"]
    assert own.alike(Fingerprint.of_rows(rows(open_store(again["resid_post.1"]))))
    assert own.alike(Fingerprint.of(open_store(again["resid_post.1"])))
    for other in (again["resid_pre.1"], again["mlp_out.1"], model["resid_post.1"]):
        assert not own.alike(Fingerprint.of(open_store(other)))
