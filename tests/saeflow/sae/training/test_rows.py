"""The rows that SAEs are trained on: their sums, and draws of them."""

from __future__ import annotations

import pytest
import torch

from sae_stores import SEQUENCE, make_activations
from saeflow.sae.training.rows import TrainingRows

N = 4 * (SEQUENCE - 1)


@pytest.fixture(scope="module")
def x():
    g = torch.Generator().manual_seed(0)
    return torch.randn(6 * SEQUENCE, 3, generator=g) + 100  # two sequences are of another split


@pytest.fixture(scope="module")
def kept(x):
    return x[: 4 * SEQUENCE][torch.arange(4 * SEQUENCE) % SEQUENCE > 0]  # without BOS


@pytest.fixture(scope="module")
def rows(x, tmp_path_factory):
    return TrainingRows(make_activations(tmp_path_factory.mktemp("rows"), n_sequences=4, x=x))


def test_sums_are_those_of_the_training_rows_without_special_tokens(rows, kept):
    moments, exact = rows.moments, kept.double()
    assert moments.n == N and rows.target_moments is moments
    torch.testing.assert_close(moments.mean, exact.mean(0))
    assert moments.norm == pytest.approx(float(exact.norm(dim=1).sum()))
    assert moments.square == pytest.approx(float(exact.square().sum()))
    torch.testing.assert_close(rows.covariance, exact.T.cov(correction=0))


@pytest.mark.parametrize("n", [N - 1, N, 10 * N])
def test_a_draw_has_different_rows_and_all_where_there_are_fewer(n, rows, kept):
    drawn = rows.draw(n, 1)
    assert len(drawn) == min(n, N) and drawn.target is drawn.x
    assert len(drawn.x.unique(dim=0)) == len(drawn)
    assert set(map(tuple, drawn.x.tolist())) <= set(map(tuple, kept.tolist()))


def test_a_draw_follows_its_seed(rows):
    one, again, other = (rows.draw(20, *seed).x for seed in ((1, 2), (1, 2), (1, 3)))
    assert torch.equal(one, again) and not torch.equal(one, other)
