from dataclasses import replace

import numpy as np
import pytest
import torch

from measured import formed
from saeflow.errors import ModelError
from saeflow.measures.reconstruction import Evaluated, mean_activation, reconstruct
from tiny_saes import Failing, Rescale, make_sae

D_IN, D_SAE, N = 6, 10, 90


class Constant(Rescale):
    """Reconstructs every token as one vector."""

    def __init__(self, vector):
        self.vector = vector

    def decode(self, codes):
        return self.vector.expand(len(codes), -1)


def random_sae(seed=0, scale=1.0):
    return make_sae(D_SAE, D_IN, seed, bias=-0.5 * scale, b_dec=0.1 * scale)


def tokens(x, documents=None, keep=None):
    rows = np.arange(len(x)) if keep is None else np.flatnonzero(keep)
    documents = np.arange(len(x)) // 10 if documents is None else documents
    return Evaluated(x, rows, documents[rows])


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(N, D_IN)) + 100 * np.arange(1, D_IN + 1)).astype(np.float32)


def measure(coder, evaluated, **options):
    return formed("reconstruction", reconstruct([coder], evaluated, **options)[0].sums)


def test_predicting_the_mean_gives_fvu_one_also_where_the_mean_is_large(x):
    mean = torch.from_numpy(x.astype(np.float64).mean(0))
    assert measure(Constant(mean), tokens(x))["fvu"] == pytest.approx(1, abs=1e-12)


def test_a_perfect_reconstruction_gives_fvu_zero_and_ratio_one(x):
    found = measure(Rescale(), tokens(x))
    assert found["fvu"] == 0 and found["mse"] == 0
    assert found["l2_ratio"] == pytest.approx(1) and found["cosine"] == pytest.approx(1)


def test_dividing_by_the_reconstruction_bias_is_the_best_rescaling(x):
    """Minimise |x_hat / g - x|^2 over a fine grid of g, and find the metric."""
    x = x / 100
    sae = random_sae()
    y = sae(torch.from_numpy(x)).numpy().astype(np.float64)
    grid = np.geomspace(1e-2, 1e2, 200_001)
    error = (y**2).sum() / grid**2 - 2 * (x * y).sum() / grid
    best = measure(sae, tokens(x))["reconstruction_bias"]
    assert best > 0
    assert best == pytest.approx(grid[error.argmin()], rel=1e-4)


def test_metrics_equal_numpy_on_all_rows_at_once(x):
    x = x / 100
    sae = random_sae()
    found = measure(sae, tokens(x), batch_rows=7)
    y, f = sae(torch.from_numpy(x)).numpy(), sae.encode(torch.from_numpy(x)).numpy()
    wide, y = x.astype(np.float64), y.astype(np.float64)
    norms, norms_hat = np.linalg.norm(wide, axis=1), np.linalg.norm(y, axis=1)
    expected = {
        "l0": (f > 0).sum(1).mean(),
        "mse": ((y - wide) ** 2).mean(),
        "fvu": ((y - wide) ** 2).sum() / ((wide - wide.mean(0)) ** 2).sum(),
        "l2_ratio": (norms_hat / norms).mean(),
        "reconstruction_bias": (y**2).sum() / (wide * y).sum(),
        "cosine": ((wide * y).sum(1) / norms / norms_hat).mean(),
        "density": (f > 0).mean(0),
        "dead": ((f > 0).sum(0) == 0).mean(),
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("batch_rows", [1, 7, N])
def test_no_metric_depends_on_the_batches(x, batch_rows):
    whole, found = (measure(random_sae(), tokens(x), batch_rows=b) for b in (N, batch_rows))
    for name, value in whole.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


def test_no_metric_depends_on_the_order_of_the_tokens(x):
    order = np.random.default_rng(1).permutation(N)
    documents = np.arange(N) // 10
    whole = measure(random_sae(), tokens(x, documents))
    found = measure(random_sae(), tokens(x[order], documents[order]))
    for name, value in whole.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


def test_scaling_activations_and_sae_together_changes_only_the_error_with_a_unit(x):
    found = measure(random_sae(), tokens(x))
    scaled = measure(random_sae(scale=4.0), tokens(4 * x))
    assert scaled.pop("mse") == pytest.approx(16 * found.pop("mse"))
    for name, value in found.items():
        np.testing.assert_allclose(scaled[name], value, rtol=1e-5, err_msg=name)


def test_special_rows_change_nothing_whatever_they_hold(x):
    keep = np.arange(N) % 10 != 0
    huge = x.copy()
    huge[~keep] = 3e18
    before, after = (measure(random_sae(), tokens(v, keep=keep)) for v in (x, huge))
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)


def test_the_mean_is_that_of_the_evaluated_rows_only(x):
    keep = np.arange(N) % 3 == 0
    np.testing.assert_allclose(
        mean_activation(tokens(x, keep=keep)), x[keep].astype(np.float64).mean(0)
    )


def test_saes_measured_together_give_the_bits_of_each_alone(x):
    saes = [random_sae(0), random_sae(1)]
    saes.append(replace(saes[0], weights={**saes[0].weights, "W_dec": 2 * saes[0].W_dec}))
    together = reconstruct(saes, tokens(x))
    for sae, result in zip(saes, together, strict=True):
        alone = reconstruct([sae], tokens(x))[0]
        for name, column in alone.documents.items():
            np.testing.assert_array_equal(result.documents[name], column)
        for name, column in alone.latents.columns().items():
            np.testing.assert_array_equal(result.latents.columns()[name], column)


def test_sums_are_kept_per_document(x):
    result = reconstruct([random_sae()], tokens(x))[0]
    assert result.documents["document"].tolist() == list(range(9))
    assert result.documents["tokens"].tolist() == [10] * 9


def test_covered_and_dead_latents_add_up_to_the_width(x):
    found = measure(random_sae(), tokens(x))
    assert (found["density"] > 0).sum() + round(found["dead"] * D_SAE) == D_SAE


def test_an_sae_that_fails_stands_beside_the_results_of_the_others(x):
    failed, made = reconstruct([Failing(), random_sae()], tokens(x))
    assert isinstance(failed, ModelError)
    (alone,) = reconstruct([random_sae()], tokens(x))
    np.testing.assert_array_equal(made.documents["squared_error"], alone.documents["squared_error"])
