"""The selection of the k largest against a stable sort."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saeflow.sae.sparse import codes as codes_module
from saeflow.sae.sparse import rows, select
from saeflow.sae.sparse.select import batch_top_k, keep_top_k, top_k


def random_pre(n, d, seed, levels, shift):
    pre = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    if levels:  # few distinct values: ties everywhere
        pre = (pre * levels).round() / levels
    return pre + shift


def expected(pre, k):
    order = pre.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros_like(pre).scatter(1, order, pre.gather(1, order).clamp(min=0))


@given(
    n=st.integers(0, 6), d_sae=st.integers(1, 96), k=st.integers(1, 100), seed=st.integers(0, 999),
    levels=st.sampled_from([0, 2, 5]), shift=st.sampled_from([-5.0, -1.0, 0.0, 3.0]),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_the_k_largest_are_selected_the_first_of_equal_ones(n, d_sae, k, seed, levels, shift):
    pre = random_pre(n, d_sae, seed, levels, shift)
    assert torch.equal(top_k(pre, k).dense(), expected(pre, min(k, d_sae)))


@pytest.mark.parametrize("d_sae", [512, 1000, 1024, 4096, 4099])
def test_wide_rows_take_the_grouped_road_to_the_same_selection(d_sae):
    pre = torch.randn(64, d_sae, generator=torch.Generator().manual_seed(0))
    assert torch.equal(top_k(pre, 16).dense(), expected(pre, 16))


def test_a_row_is_selected_as_it_would_be_alone():
    pre = torch.randn(9, 128, generator=torch.Generator().manual_seed(0))
    together = top_k(pre, 5).dense()
    for row, alone in zip(pre, together, strict=True):
        assert torch.equal(top_k(row[None], 5).dense()[0], alone)


@given(
    n=st.integers(0, 6), d_sae=st.integers(1, 40), k=st.integers(1, 50), seed=st.integers(0, 999),
    levels=st.sampled_from([0, 2]), shift=st.sampled_from([-1.0, 0.0]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_an_accelerator_takes_another_road_to_the_same_codes(n, d_sae, k, seed, levels, shift):
    pre = random_pre(n, d_sae, seed, levels, shift)
    found, wanted = select._top_k_of_device(pre, k), top_k(pre, k)
    for name in ("values", "index", "offsets"):
        assert torch.equal(getattr(found, name), getattr(wanted, name))


@given(
    n=st.integers(1, 6), d_sae=st.integers(1, 60), n_wanted=st.integers(1, 200),
    seed=st.integers(0, 999), levels=st.sampled_from([0, 2]), shift=st.sampled_from([-5.0, 0.0]),
    guess=st.sampled_from([0.0, 0.5, 1.5, 9.0]), device=st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_the_largest_of_a_batch_are_the_same_for_any_guess(
    n, d_sae, n_wanted, seed, levels, shift, guess, device
):
    pre = random_pre(n, d_sae, seed, levels, shift)
    flat = pre.flatten()
    kept = flat.argsort(descending=True, stable=True)[:n_wanted]
    wanted = torch.zeros_like(flat).scatter(0, kept, flat[kept].clamp(min=0)).view(n, d_sae)
    with pytest.MonkeyPatch.context() as patch:
        for module in (select, codes_module) if device else ():
            patch.setattr(module, "on_cpu", lambda x: False)
        assert torch.equal(batch_top_k(pre, n_wanted, guess=guess).dense(), wanted)


@given(
    n=st.integers(1, 6), m=st.integers(1, 40), k=st.integers(1, 50), seed=st.integers(0, 999),
    levels=st.sampled_from([0, 2]), shift=st.sampled_from([-1.0, 0.0]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_matrix_keeps_the_entries_that_top_k_selects(n, m, k, seed, levels, shift):
    pre = random_pre(n, m, seed, levels, shift)
    wanted = top_k(pre, k).dense()
    assert torch.equal(keep_top_k(pre.clone(), k), wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(select, "on_cpu", lambda x: False)
        assert torch.equal(keep_top_k(pre.clone(), k), wanted)


def test_rows_in_blocks_and_threads_are_selected_as_in_one_piece(monkeypatch):
    pre = torch.randn(600, 256, generator=torch.Generator().manual_seed(0))
    whole = top_k(pre, 9)
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 5000)
    parts = top_k(pre, 9)
    for name in ("values", "index", "offsets"):
        assert torch.equal(getattr(parts, name), getattr(whole, name))
