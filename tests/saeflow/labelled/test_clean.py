"""What is left out of a dataset, and counted."""

import numpy as np
import pytest

from saeflow.labelled.clean import clean
from saeflow.labelled.texts import Texts

SETTINGS = {"duplicates": "drop", "examples": None, "seed": 0}


def texts(*rows):
    """Make texts of (text, label, split)."""
    return Texts(
        [text for text, _, _ in rows],
        [f"line {i}" for i in range(len(rows))],
        np.array([split for _, _, split in rows]),
        {"label": [label for _, label, _ in rows]},
        [None] * len(rows),
    )


def cleaned(given, *, has_test_split=True, **settings):
    found, counts = clean(given, SETTINGS | settings, has_test_split=has_test_split)
    return found, {name: n for name, n in counts.items() if n}


def test_lengths_are_strict_and_in_characters():
    given = texts(*(("é" * n, "1", "train") for n in (3, 4, 5, 9, 10)))
    found, counts = cleaned(given, longer_than=3, shorter_than=10)
    assert [len(text) for text in found.texts] == [4, 5, 9]
    assert counts == {"n_read": 5, "n_length": 2}


def test_what_has_no_text_or_no_label_is_counted_out():
    given = texts(
        ("", "1", "train"), (" \n", "1", "train"), ("a", None, "test"), ("b", "0", "test")
    )
    found, counts = cleaned(given)
    assert found.texts == ["b"]
    assert counts == {"n_read": 4, "n_empty": 2, "n_unlabelled": 1}


def test_a_text_with_one_of_several_labels_stays():
    given = texts(("a", None, "train"), ("b", None, "train"))
    given.labels["other"] = [None, "1"]
    assert cleaned(given)[0].texts == ["b"]


COPIES = texts(
    ("a", "1", "train"),
    ("b", "0", "train"),  # a test text, too
    ("a", "1", "train"),
    (" a\n", "0", "train"),  # the same but for white space, with another label
    ("b", "0", "test"),
    ("c", "1", "test"),
    ("a", "1", "shift"),  # a training text, too
    ("c", "1", "shift"),  # a test text: of neither distribution is it trained on
    ("d", "1", "shift"),
)
COUNTED = {"n_read": 9, "n_repeated": 2, "n_contradicting": 1, "n_shared": 1, "n_shared_shift": 1}


def test_copies_are_dropped_where_they_would_be_trained_on_and_tested():
    found, counts = cleaned(COPIES)
    assert list(zip(found.splits, found.texts, strict=True)) == [
        ("train", "a"), ("test", "b"), ("test", "c"), ("shift", "c"), ("shift", "d"),
    ]  # fmt: skip
    assert counts == COUNTED


def test_copies_that_are_kept_are_counted_alike():
    found, counts = cleaned(COPIES, duplicates="keep")
    assert found.texts == COPIES.texts
    assert counts == COUNTED


def test_a_text_is_of_one_split_wherever_it_stands_and_however_often():
    rows = [(f"text {i % 400}", str(i % 2), "train") for i in range(800)]
    found, _ = cleaned(texts(*rows), has_test_split=False, duplicates="keep", test=0.25)
    by_text = {}
    for text, split in zip(found.texts, found.splits, strict=True):
        by_text.setdefault(text, set()).add(split)
    assert all(len(splits) == 1 for splits in by_text.values())
    n_test = sum(splits == {"test"} for splits in by_text.values())
    assert 400 * 0.25 - 40 < n_test < 400 * 0.25 + 40  # over four standard deviations
    backwards, _ = cleaned(texts(*rows[::-1]), has_test_split=False, duplicates="keep", test=0.25)
    assert backwards.splits.tolist() == found.splits.tolist()[::-1]
    other, _ = cleaned(texts(*rows), has_test_split=False, duplicates="keep", test=0.25, seed=1)
    assert other.splits.tolist() != found.splits.tolist()


def test_a_second_distribution_is_not_split():
    given = texts(*((f"t{i}", "1", "shift" if i % 2 else "train") for i in range(100)))
    found, _ = cleaned(given, has_test_split=False)
    assert found.splits[1::2].tolist() == ["shift"] * 50
    assert set(found.splits[::2]) == {"train", "test"}


def test_some_texts_are_drawn_by_the_seed_of_training_and_test_together():
    given = texts(*((f"t{i}", "1", ("train", "test", "shift")[i % 3]) for i in range(300)))
    found, counts = cleaned(given, examples=60)
    assert counts["n_not_drawn"] == 140 + 40
    assert sum(found.splits == "shift") == 60
    assert 10 < sum(found.splits == "test") < 50
    order = [int(text[1:]) for text in found.texts]
    assert order == sorted(order)
    assert cleaned(given, examples=60)[0].texts == found.texts
    assert cleaned(given, examples=60, seed=1)[0].texts != found.texts


@pytest.mark.parametrize("n", [100, 1000])
def test_no_more_are_drawn_than_there_are(n):
    given = texts(*((f"t{i}", "1", "train") for i in range(100)))
    assert len(cleaned(given, examples=n)[0].texts) == 100
