import numpy as np
import pytest
import torch

from saeflow.activations.excerpts import (
    batches_in_order,
    blocks,
    documents,
    ordinary_rows,
    part_range,
    sequences,
)
from saeflow.activations.reader import open_store
from saeflow.errors import DataError
from tiny_stores import make_store

LENGTHS = {"train": [7, 3, 12, 1, 5], "validation": [], "test": [4, 9, 2]}
N, N_TRAIN, D = 43, 28, 4


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Rows that hold their own number, each sequence a document that begins with BOS."""
    x = torch.arange(N, dtype=torch.float32)[:, None].expand(N, D)
    return open_store(make_store(tmp_path_factory.mktemp("store"), x, LENGTHS))


def numbers(x):
    return x[:, 0].long().tolist()


def test_rows_in_order_are_all_rows_of_the_split(store):
    found = list(batches_in_order(store, "test", 6))
    assert [(r.start, r.stop) for r, _ in found] == [(28, 34), (34, 40), (40, 43)]
    assert [numbers(x) for _, x in found] == [[*range(28, 34)], [*range(34, 40)], [40, 41, 42]]


def test_ordinary_rows_are_all_but_the_special_ones(store):
    starts = [28, 32, 41]
    assert ordinary_rows(store, "test").tolist() == [r for r in range(28, 43) if r not in starts]


@pytest.mark.parametrize("spans", [sequences, documents])
def test_spans_are_where_the_sequences_and_documents_lie(store, spans):
    found = spans(store, "test")
    assert found.ids.tolist() == [5, 6, 7]
    assert found.starts.tolist() == [28, 32, 41] and found.ends.tolist() == [32, 41, 43]
    assert [len(column) for column in spans(store, "validation")] == [0, 0, 0]


def test_a_document_may_go_through_several_sequences(store, monkeypatch):
    number = np.repeat([4, 9, 2], [10, 13, 5]).astype(np.uint32)
    monkeypatch.setitem(store.rows._loaded, "document", np.r_[number, np.zeros(15, np.uint32)])
    found = documents(store, "train")
    assert found.ids.tolist() == [4, 9, 2]
    assert found.starts.tolist() == [0, 10, 23] and found.ends.tolist() == [10, 23, 28]


# 23 tokens that are not BOS: 6, 2, 11, 0 and 4 of them in five documents
@pytest.mark.parametrize(
    "expected",
    [[(0, 10), (10, 28)], [(0, 10), (10, 22), (22, 28)], [(0, 7), (7, 10), (10, 22), (22, 28)]],
)  # fmt: skip
def test_parts_are_cut_at_the_documents_nearest_to_equal_tokens(store, expected):
    n = len(expected)
    parts = [f"{i}/{n}" for i in range(1, n + 1)]
    assert [part_range(store, "train", part) for part in parts] == expected
    given = [ordinary_rows(store, "train", part).tolist() for part in parts]
    assert sum(given, []) == ordinary_rows(store, "train").tolist()
    read = [r for part in parts for r, _ in batches_in_order(store, "train", 5, part)]
    assert [row for rows in read for row in range(rows.start, rows.stop)] == [*range(28)]


@pytest.mark.parametrize(("split", "n"), [("train", 5), ("train", 9), ("test", 4)])
def test_too_few_documents_make_no_parts(store, split, n):
    with pytest.raises(DataError, match=f"too few documents to make {n} parts"):
        part_range(store, split, f"1/{n}")


def test_a_split_without_documents_has_no_parts(store):
    with pytest.raises(DataError, match="0 of at most 0 tokens"):
        part_range(store, "validation", "1/2")


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [
        (10, [(0, 10), (10, 22), (22, 28)]),
        (1, [(0, 7), (7, 10), (10, 22), (22, 23), (23, 28)]),
        (12, [(0, 10), (10, 22), (22, 28)]),
        (22, [(0, 22), (22, 28)]),
        (99, [(0, 28)]),
    ],
)
def test_blocks_hold_whole_sequences(store, n_rows, expected):
    found = list(blocks(store, sequences(store, "train"), n_rows))
    assert [(s.starts[0], s.ends[-1]) for s, _ in found] == expected
    assert [numbers(x) for _, x in found] == [[*range(a, b)] for a, b in expected]
    assert sum((s.ids.tolist() for s, _ in found), []) == [0, 1, 2, 3, 4]
