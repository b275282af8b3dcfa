"""Blocks of rows, side by side, against the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saeflow.sae.sparse import rows
from saeflow.sae.sparse.rows import each_block, flat_nonzero


@pytest.fixture(params=[1, 2, 3])
def n_threads(request, monkeypatch):
    """Run with so many threads, blocks of 7 rows, whatever the size."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 7 * 5 * 8)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("n", [0, 1, 7, 50])
def test_blocks_come_back_in_order_and_cover_each_row_once(n, n_threads):
    matrix = np.arange(5.0 * n).reshape(n, 5)
    parts = each_block(matrix, lambda block, first: (first, block.copy()))
    assert [first for first, _ in parts] == list(range(0, n, 7))
    assert np.array_equal(np.concatenate([np.zeros((0, 5)), *(b for _, b in parts)]), matrix)


def test_an_error_in_any_block_is_raised(n_threads):
    def fail(block, first):
        if first == 21:
            raise ValueError("block 3")
        return block

    with pytest.raises(ValueError, match="block 3"):
        each_block(np.zeros((50, 5)), fail)


@given(
    size=st.integers(0, 60).map(lambda n: 8 * n) | st.integers(0, 200),
    rate=st.sampled_from([0.0, 0.01, 0.02, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_positions_of_true_entries_are_those_of_numpy(size, rate, seed):
    mask = np.random.default_rng(seed).random(size) < rate
    assert np.array_equal(flat_nonzero(mask), np.flatnonzero(mask))
