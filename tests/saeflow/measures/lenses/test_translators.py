"""Affine maps from moments, held against least squares on the pairs themselves."""

import numpy as np
import pytest
import torch

from saeflow.measures.lenses.translators import RIDGES, Moments, fit_translator

D = 5


def pairs(n, noise=0.0, seed=0, offset=3.0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, D, generator=g, dtype=torch.float64) * torch.tensor([1, 2, 3, 4, 50.0])
    fixed = torch.Generator().manual_seed(99)
    map_ = torch.randn(D, D + 1, generator=fixed, dtype=torch.float64)
    y = x @ map_ + offset + noise * torch.randn(n, D + 1, generator=g, dtype=torch.float64)
    return x + offset, y


def moments(x, y, parts=1):
    found = Moments(x.shape[1], y.shape[1])
    for a, b in zip(x.chunk(parts), y.chunk(parts), strict=True):
        found.add(a, b)
    return found


def solved(x, y, ridge, prior):
    """Return the ridge regression by stacking rows for the penalty, of centred pairs."""
    mx, my = x.mean(0), y.mean(0)
    xc, yc = (x - mx).numpy(), (y - my).numpy()
    unit = np.linalg.eigvalsh(xc.T @ xc).mean()
    root = np.sqrt(ridge * unit)
    above = np.concatenate([xc, root * np.eye(D)])
    right = np.concatenate([yc, root * prior])
    matrix = np.linalg.lstsq(above, right, rcond=None)[0]
    return matrix, my.numpy() - mx.numpy() @ matrix


@pytest.mark.parametrize("in_stream", [False, True])
@pytest.mark.parametrize("n_held", [0, 7])
def test_it_is_the_ridge_regression_on_all_pairs(in_stream, n_held):
    x, y = pairs(60, noise=5.0)
    y = y[:, :D]
    fitted = moments(x[: 60 - n_held], y[: 60 - n_held])
    held = moments(x[60 - n_held :], y[60 - n_held :])
    found = fit_translator(fitted, held, in_stream=in_stream)
    matrix, bias = solved(x, y, found.ridge, np.eye(D) * in_stream)
    np.testing.assert_allclose(found.matrix, matrix, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.bias, bias, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(found(x.float()), x.float().double() @ matrix + bias, atol=1e-6)


def test_held_out_pairs_choose_the_ridge_that_leaves_least_of_each_dimension():
    x, y = pairs(30, noise=20.0)
    x_held, y_held = pairs(400, noise=20.0, seed=1)
    found = fit_translator(moments(x, y), moments(x_held, y_held), in_stream=False)
    left = {}
    for ridge in RIDGES:
        matrix, bias = solved(x, y, ridge, np.zeros((D, D + 1)))
        error = (y_held.numpy() - x_held.numpy() @ matrix - bias) ** 2
        spread = (y_held - y.mean(0)).numpy() ** 2
        left[ridge] = np.mean(error.sum(0) / spread.sum(0))
    assert found.ridge == min(left, key=left.get)
    assert found.left_over == pytest.approx(left[found.ridge], rel=1e-6)


def test_an_exact_map_is_found_exactly_and_leaves_nothing():
    x, y = pairs(300)
    found = fit_translator(moments(*pairs(200)), moments(x, y), in_stream=False)
    assert found.ridge == RIDGES[0] and 0 <= found.left_over < 1e-6
    torch.testing.assert_close(found(x), y, rtol=1e-3, atol=1e-2)


def test_the_last_states_themselves_are_left_as_they_are():
    x, _ = pairs(10)
    found = fit_translator(moments(x[:8], x[:8]), moments(x[8:], x[8:]), in_stream=True)
    torch.testing.assert_close(found.matrix, torch.eye(D, dtype=torch.float64))
    torch.testing.assert_close(found.bias, torch.zeros(D, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("in_stream", [False, True])
def test_of_one_pair_no_more_is_made_than_a_shift(in_stream):
    x, y = pairs(1)
    y = y[:, :D]
    found = fit_translator(moments(x, y), Moments(D, D), in_stream=in_stream)
    torch.testing.assert_close(found.matrix, torch.eye(D, dtype=torch.float64) * in_stream)
    torch.testing.assert_close(found(x), y)
    assert np.isnan(found.left_over)


def test_moments_do_not_depend_on_how_pairs_come():
    x, y = pairs(50, noise=1.0)
    one, other = moments(x, y), moments(x, y, parts=7)
    joined = moments(x[:20], y[:20]) + moments(x[20:], y[20:])
    for name in ("x", "y", "yy", "xx", "xy"):
        for found in (other, joined):
            torch.testing.assert_close(getattr(one, name), getattr(found, name))
    assert one.n == other.n == joined.n == 50
