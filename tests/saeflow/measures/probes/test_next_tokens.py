"""Which rows are asked about: by hand on a dozen tokens."""

from types import SimpleNamespace

import numpy as np
import pytest

from saeflow.errors import DataError
from saeflow.measures.probes import next_tokens
from saeflow.measures.probes.next_tokens import asked, most_frequent, questions
from saeflow.tokens.flags import BOS, EOS

# Two sequences of two documents each: BOS a b a | EOS b a, then BOS c a a | a b (no separator).
TOKENS = [0, 5, 7, 5, 1, 7, 5, 0, 9, 5, 5, 5, 7]
FLAGS = [BOS, 0, 0, 0, EOS, 0, 0, BOS, 0, 0, 0, 0, 0]
POSITION = [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5]
DOCUMENT = [0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3]
# Rows that are followed: 1 by 7, 2 by 5, 5 by 5, 8 by 5, 9 by 5, 11 by 7.
FOLLOWED = {1: 7, 2: 5, 5: 5, 8: 5, 9: 5, 11: 7}
N = len(TOKENS)


def made(columns, splits):
    """Return a store of these columns, whose activations are the numbers of its rows."""
    columns = {name: np.array(values) for name, values in columns.items()}
    return SimpleNamespace(
        path="somewhere",
        activations=np.arange(len(columns["flags"]), dtype=np.float16)[:, None],
        ranges=splits.__getitem__,
        rows=SimpleNamespace(read=lambda name, first, end: columns[name][first:end]),
    )


def store_of(token_id, position):
    """Return a store of one document without special tokens, all of it for training."""
    n = len(token_id)
    columns = {"token_id": token_id, "position": position, "document": [0] * n, "flags": [0] * n}
    return made(columns, {"train": (0, n), "test": (0, n)})


def store(repeats=1, splits=None):
    columns = {
        "token_id": np.tile(TOKENS, repeats).astype(np.uint32),
        "flags": np.tile(FLAGS, repeats).astype(np.uint8),
        "position": np.tile(POSITION, repeats).astype(np.uint16),
        "document": np.concatenate([np.add(DOCUMENT, 4 * i) for i in range(repeats)]),
    }
    return made(columns, splits or {"train": (0, N * repeats), "test": (0, N * repeats)})


def test_asked_are_ordinary_rows_that_an_ordinary_token_of_the_same_text_follows():
    found = asked(store(), store(), np.array([7, 5]))
    assert dict(zip(found.rows, found.tokens[found.labels], strict=True)) == FOLLOWED
    assert found.documents.tolist() == [0, 0, 1, 2, 2, 3]
    assert found.labels.tolist() == [0, 1, 1, 1, 1, 0]


def test_the_last_row_of_a_sequence_is_not_followed_by_the_first_of_the_next():
    cut = store_of([5, 5, 7, 5], [0, 1, 0, 1])  # one document, cut in the middle
    assert asked(cut, cut, np.array([5, 7])).rows.tolist() == [0, 2]


def test_only_wanted_tokens_are_asked_about():
    found = asked(store(), store(), np.array([7]))
    assert found.rows.tolist() == [1, 11] and found.labels.tolist() == [0, 0]


def test_the_row_before_a_split_does_not_reach_into_it():
    two = store(2, {"test": (2, 3), "train": (0, 1)})
    with pytest.raises(DataError, match="none of the tokens"):  # row 2 is followed in no split
        asked(two, two, np.array([5]))


def test_frequent_tokens_come_first_and_of_equals_the_least():
    assert most_frequent(np.array([4, 2, 9, 9, 2, 7]), 3).tolist() == [2, 9, 4]
    assert most_frequent(np.array([4]), 3).tolist() == [4]
    ids = np.random.default_rng(0).permutation([*range(1000), *range(0, 1000, 2)])
    assert most_frequent(ids, 600).tolist() == [*range(0, 1000, 2), *range(1, 200, 2)]


def test_questions_are_the_frequent_tokens_of_the_training_split():
    two = store(2, {"train": (0, N), "test": (N, 2 * N)})
    found = questions(two, two, classes=16, rows=100)
    assert found.tokens.tolist() == [5, 7]
    assert found.rows.tolist() == list(FOLLOWED)
    assert asked(two, two, found.tokens).rows.tolist() == [row + N for row in FOLLOWED]


def test_rows_to_fit_to_are_evenly_spread(monkeypatch):
    many = store(50)
    found = questions(many, many, classes=2, rows=100)
    gaps = np.diff(found.rows)
    assert len(found.rows) == 100 and (gaps > 0).all()
    assert found.rows[-1] > 0.95 * 50 * N and gaps.max() <= 2 * N
    np.testing.assert_array_equal(
        found.tokens[found.labels], [FOLLOWED[row % N] for row in found.rows]
    )
    monkeypatch.setattr(next_tokens, "SPAN", 2)
    assert questions(many, many, classes=2, rows=100).rows.max() < 200


def test_a_token_that_no_chosen_row_has_is_no_class():
    # Of 6 rows 3 are taken, the 1st, 3rd and 5th: followed by 7, 5 and 5.
    found = questions(store(), store(), classes=2, rows=3)
    assert found.rows.tolist() == [1, 5, 9] and found.tokens.tolist() == [5, 7]
    # Of rows followed by 3 2 3 2 4 2 every other one is taken: 2, the most frequent, is lost.
    lost = store_of([9, 3, 2, 3, 2, 4, 2], range(7))
    found = questions(lost, lost, classes=3, rows=3)
    assert found.tokens.tolist() == [3, 4] and found.labels.tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="no two tokens"):  # only the 1st: followed by 7
        questions(store(), store(), classes=2, rows=1)


@pytest.mark.parametrize("end", [0, 1, 3])
def test_a_training_split_without_two_tokens_to_tell_apart_is_refused(end):
    small = store(1, {"train": (0, end), "test": (0, N)})
    with pytest.raises(DataError, match="no two tokens that a probe could tell apart") as caught:
        questions(small, small, classes=2, rows=100)
    assert "probes: null" in str(caught.value)


def test_batches_give_inputs_and_targets_of_the_rows(monkeypatch):
    monkeypatch.setattr(next_tokens, "BATCH_ROWS", 4)
    here, there = store(), store()
    there.activations = 100 + here.activations
    parts = list(asked(here, there, np.array([5, 7])).batches())
    assert [part for part, *_ in parts] == [slice(0, 4), slice(4, 8)]
    x = np.concatenate([x for _, x, _ in parts])
    assert x.dtype == np.float32 and x[:, 0].tolist() == list(FOLLOWED)
    np.testing.assert_array_equal(np.concatenate([y for *_, y in parts]), x + 100)
    same = list(asked(here, here, np.array([5, 7])).batches())
    assert all(y is x for _, x, y in same)
