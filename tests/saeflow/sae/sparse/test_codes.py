"""Sparse codes against dense arithmetic."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saeflow.sae.sparse import by_latent
from saeflow.sae.sparse import codes as codes_module
from saeflow.sae.sparse.codes import extract

cases = {
    "shape": st.tuples(st.integers(0, 8), st.integers(1, 12)),
    "density": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    "seed": st.integers(0, 999),
}


def random_pre(shape, density, seed, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    pre = torch.rand(shape, generator=g, dtype=dtype) + 0.01
    return torch.where(torch.rand(shape, generator=g) < density, pre, -pre)


@given(**cases)
@settings(max_examples=60, deadline=None)
def test_extracted_codes_are_the_positive_entries(shape, density, seed):
    pre = random_pre(shape, density, seed)
    codes = extract(pre, 0.0)
    assert len(codes) == shape[0]
    assert torch.equal(codes.dense(), pre.clamp(min=0))
    assert torch.equal(codes.counts.long(), (pre > 0).sum(1))
    assert torch.equal(codes.rows, (pre > 0).nonzero()[:, 0])
    assert codes.index.dtype == codes.offsets.dtype == torch.int32


@given(**cases)
@settings(max_examples=60, deadline=None)
def test_products_with_codes_are_those_of_the_dense_matrix(shape, density, seed):
    pre = random_pre(shape, density, seed)
    (n, d_sae), dense = shape, pre.clamp(min=0)
    g = torch.Generator().manual_seed(seed)
    W = torch.randn(d_sae, 5, generator=g, dtype=pre.dtype)
    right = torch.randn(n, 5, generator=g, dtype=pre.dtype)
    codes = extract(pre, 0.0)
    x_hat, pullback = codes.decode_with_pullback(W)
    torch.testing.assert_close(x_hat, dense @ W)
    torch.testing.assert_close(codes.decode(W), dense @ W)
    expected = (right @ W.T)[codes.rows, codes.index.long()]
    torch.testing.assert_close(pullback(right), expected)
    torch.testing.assert_close(codes.by_latent.matmul(codes.values, right), dense.T @ right)
    torch.testing.assert_close(codes.by_latent.sum(codes.values), dense.sum(0))
    assert torch.equal(codes.by_latent.counts.long(), (dense > 0).sum(0))


def test_codes_with_other_values_keep_the_active_set():
    codes = extract(random_pre((6, 9), 0.4, 0), 0.0)
    codes.by_latent  # noqa: B018
    doubled = codes.with_values(2 * codes.values)
    assert torch.equal(doubled.dense(), 2 * codes.dense())
    assert doubled.by_latent is codes.by_latent


def test_a_threshold_may_differ_by_row():
    pre = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    codes = extract(pre, torch.tensor([[2.0], [0.5]]))
    assert codes.dense().tolist() == [[0, 0, 3], [1, 2, 3]]


def test_an_accelerator_takes_another_road_to_the_same_codes(monkeypatch):
    pre = random_pre((7, 16), 0.3, 5, torch.float32)
    expected, right = extract(pre, 0.0), torch.randn(7, 3)
    product = expected.by_latent.matmul(expected.values, right)
    sums = expected.by_latent.sum(expected.values)
    for of in (codes_module, by_latent):
        monkeypatch.setattr(of, "on_cpu", lambda x: False)
    found = extract(pre, 0.0)
    for name in ("values", "index", "offsets"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
    assert torch.equal(found.by_latent.matmul(found.values, right), product)
    assert torch.equal(found.by_latent.sum(found.values), sums)
    assert torch.equal(found.by_latent.counts, expected.by_latent.counts)
    assert extract(pre, 0.0, at_most=0.1) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_is_never_active(dtype):
    assert not len(extract(torch.full((2, 3), torch.nan, dtype=dtype), 0.0).values)


def test_a_part_of_the_entries_keeps_their_rows():
    codes = extract(random_pre((6, 9), 0.5, 1), 0.0)
    keep = torch.arange(codes.n_active) % 3 > 0
    part = codes.part(keep)
    assert torch.equal(part.values, codes.values[keep]) and torch.equal(part.rows, codes.rows[keep])


@pytest.mark.parametrize("ends", [[9], [4, 9], [1, 2, 8, 9]])
def test_split_codes_have_a_row_per_input_and_group(ends):
    codes = extract(random_pre((6, 9), 0.5, 1), 0.0)
    split = codes.split(ends).dense().view(6, len(ends), 9)
    for group, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        alone = torch.zeros(6, 9, dtype=torch.float64)
        alone[:, start:end] = codes.dense()[:, start:end]
        assert torch.equal(split[:, group], alone)


@pytest.mark.parametrize("shape", [(40, 3), (5, 12)])
def test_products_by_columns_are_those_of_whole_rows(shape, monkeypatch):
    pre = random_pre(shape, 0.9, 2)
    W, right = torch.randn(shape[1], 7).double(), torch.randn(shape[0], 7).double()
    codes = extract(pre, 0.0)
    whole = codes.decode(W), codes.by_latent.matmul(codes.values, right)
    for name, value in {"_CACHE_BYTES": 0, "_COLUMNS": 3, "_READS": 0}.items():
        monkeypatch.setattr(by_latent, name, value)
    out = torch.full((shape[1], 7), torch.nan).double()
    codes.by_latent.matmul(codes.values, right, out=out)
    torch.testing.assert_close(codes.decode(W), whole[0])
    torch.testing.assert_close(out, whole[1])
