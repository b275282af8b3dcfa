"""The selection of the k largest against a stable sort."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saeflow.sae import select
from saeflow.sae.select import kth_largest, top_k


def expected(pre, k):
    order = pre.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros_like(pre).scatter(1, order, pre.gather(1, order).clamp(min=0))


@given(
    n=st.integers(0, 6), d_sae=st.integers(1, 96), k=st.integers(1, 100), seed=st.integers(0, 999),
    levels=st.sampled_from([0, 2, 5]), shift=st.sampled_from([-5.0, -1.0, 0.0, 3.0]),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_the_k_largest_are_selected_the_first_of_equal_ones(n, d_sae, k, seed, levels, shift):
    pre = torch.randn(n, d_sae, generator=torch.Generator().manual_seed(seed))
    if levels:  # few distinct values: ties everywhere
        pre = (pre * levels).round() / levels
    pre += shift
    assert torch.equal(top_k(pre, k).dense(), expected(pre, min(k, d_sae)))


@pytest.mark.parametrize("d_sae", [512, 1024, 4096])
def test_wide_rows_take_the_grouped_road_to_the_same_selection(d_sae):
    pre = torch.randn(64, d_sae, generator=torch.Generator().manual_seed(0))
    assert torch.equal(top_k(pre, 16).dense(), expected(pre, 16))


def test_a_row_is_selected_as_it_would_be_alone():
    pre = torch.randn(9, 128, generator=torch.Generator().manual_seed(0))
    together = top_k(pre, 5).dense()
    for row, alone in zip(pre, together, strict=True):
        assert torch.equal(top_k(row[None], 5).dense()[0], alone)


def test_an_accelerator_takes_another_road_to_the_same_border(monkeypatch):
    x = torch.randn(5, 33, generator=torch.Generator().manual_seed(0))
    border = kth_largest(x, 7)
    monkeypatch.setattr(select, "on_cpu", lambda x: False)
    assert torch.equal(kth_largest(x, 7), border)
