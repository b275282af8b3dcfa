import numpy as np
import pytest
import torch

from saeflow.activations.layout import plan_layout
from saeflow.activations.sums import ShardSums
from saeflow.activations.values import to_storage

N, D = 700, 8


def sums_of(x, dtype, sizes=(N,), excluded=None):
    sums = ShardSums.zero(plan_layout(N, D, dtype))
    stored = to_storage(torch.from_numpy(x), dtype)
    excluded = np.zeros(N, bool) if excluded is None else excluded
    start = 0
    for end in (*np.cumsum(sizes)[:-1], N):
        sums.add(stored[start:end], excluded[start:end])
        start = end
    return sums.close()


def rows(scale=1.0):
    x = np.random.default_rng(0).standard_normal((N, D)) * scale + scale
    return np.clip(x, -3e38, 3e38).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_statistics_are_those_of_the_stored_values(dtype):
    x, left_out = rows(), np.arange(N) % 9 == 0
    x[left_out] = 60_000
    found = sums_of(x, dtype, excluded=left_out)
    stored = torch.from_numpy(x).to(getattr(torch, dtype)).double().numpy()[~left_out]
    assert found.n == len(stored)
    np.testing.assert_allclose(found.mean, stored.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.std, stored.std(0), rtol=1e-5)
    assert found.rms == pytest.approx(np.sqrt(np.square(stored).mean()), rel=1e-6)
    assert found.mean_norm == pytest.approx(np.linalg.norm(stored, axis=1).mean(), rel=1e-6)


@pytest.mark.parametrize("scale", [1e14, 1e18, 1e20, 1e38])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_values_whose_squares_are_beyond_float32_have_finite_statistics(scale, dtype):
    """They are legal, and a record cannot hold infinity."""
    x = rows(scale)
    found = sums_of(x, dtype, sizes=(300, 400))
    stored = torch.from_numpy(x).to(getattr(torch, dtype)).double().numpy()
    np.testing.assert_allclose(found.mean, stored.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.std, stored.std(0), rtol=1e-5)
    assert found.rms == pytest.approx(np.sqrt(np.square(stored).mean()), rel=1e-6)
    assert found.mean_norm == pytest.approx(np.linalg.norm(stored, axis=1).mean(), rel=1e-6)


def test_one_large_value_among_small_ones_is_counted():
    x = rows()
    x[431, 3] = -2e19
    found = sums_of(x, "float32")
    assert found.rms == pytest.approx(2e19 / np.sqrt(N * D), rel=1e-6)


def test_the_sums_do_not_depend_on_how_the_rows_come():
    x = rows()
    x[431, 3] = 1e30
    one, other = sums_of(x, "float32"), sums_of(x, "float32", sizes=(1, 254, 3, 300, 142))
    assert (one.x == other.x).all() and (one.x2 == other.x2).all() and one.norm == other.norm
