"""Stored codes as what compares SAEs reads them."""

import numpy as np
import pytest

from saeflow.measures import codes as module
from saeflow.measures.codes.files import CodesWriter
from stored_codes import stored


@pytest.fixture
def dense():
    rng = np.random.default_rng(0)
    values = rng.random((50, 12)) * (rng.random((50, 12)) < 0.3)
    values[:, 4] = 0
    values[20:24] = 0
    return values.astype(np.float32)


@pytest.mark.parametrize("part", [1, 9, 1000])
@pytest.mark.parametrize("latents", [None, [3], [7, 0, 11], [4], []])
def test_latents_are_read_in_any_order(tmp_path, monkeypatch, dense, latents, part):
    monkeypatch.setattr(module, "_PART_ENTRIES", part)
    found = stored(tmp_path, dense).matrix(latents)
    expected = dense if latents is None else dense[:, latents]
    np.testing.assert_array_equal(found.toarray(), expected)
    assert found.dtype == np.float32
    assert found.indices.dtype == found.indptr.dtype == np.int32


def test_some_tokens_are_read(tmp_path, monkeypatch, dense):
    monkeypatch.setattr(module, "_PART_ENTRIES", 9)
    codes = stored(tmp_path, dense)
    for first, end in ((0, 7), (18, 26), (21, 23), (49, 50), (5, 5)):
        expected = dense[first:end][:, [7, 0, 11]]
        for tokens in (slice(first, end), np.arange(first, end)):
            np.testing.assert_array_equal(codes.matrix([7, 0, 11], tokens).toarray(), expected)
    tokens = np.array([30, 21, 0, 49])
    np.testing.assert_array_equal(codes.matrix(tokens=tokens).toarray(), dense[tokens])


def test_live_ones_are_told_from_others(tmp_path, dense):
    status = ["live", "dead", "rare", "duplicate"] * 3
    assert stored(tmp_path, dense, status=status).live.tolist() == [0, 4, 8]


@pytest.mark.parametrize(
    ("lengths", "n", "borders"),
    [
        ([10, 10, 10, 10, 10], 5, [0, 10, 20, 30, 40, 50]),
        ([10, 10, 10, 10, 10], 2, [0, 20, 50]),
        ([48, 1, 1], 3, [0, 48, 50]),
        ([50], 20, [0, 50]),
        ([3, 47], 7, [0, 3, 50]),
    ],
)  # fmt: skip
def test_groups_are_of_whole_documents(tmp_path, dense, lengths, n, borders):
    assert stored(tmp_path, dense, lengths).groups(n).tolist() == borders


def test_wide_saes_have_wide_numbers_of_latents(tmp_path):
    with CodesWriter(tmp_path, 70_000) as writer:
        writer.append(np.ones(2), np.array([3, 69_999]), np.array([0, 2]))
    assert np.load(tmp_path / "index.npy").tolist() == [3, 69_999]
    assert np.load(tmp_path / "offsets.npy").tolist() == [0, 0, 2]


def test_no_token_and_no_entry_are_files_all_the_same(tmp_path):
    with CodesWriter(tmp_path, 5):
        pass
    assert np.load(tmp_path / "values.npy").shape == (0,)
    assert np.load(tmp_path / "offsets.npy").tolist() == [0]
