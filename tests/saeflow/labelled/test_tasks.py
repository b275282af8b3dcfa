"""Tasks that have enough texts, and why others are left out."""

import numpy as np
import pytest

from saeflow.labelled.tasks import find_tasks
from saeflow.labelled.texts import Texts

SETTINGS = {"rule": "auto", "classes": 10, "balance": "none"}
PATTERN = ("train",) * 10 + ("test",) * 6


def texts(labels, splits=PATTERN, **others):
    n = len(labels)
    return Texts(
        [f"text {i}" for i in range(n)],
        [f"line {i + 1}" for i in range(n)],
        np.array(splits[:n]),
        {"label": list(labels), **others},
        [None] * n,
    )


def facts(task, *names):
    return tuple(task.facts[name] for name in names)


def test_a_task_has_the_texts_with_an_answer():
    found = find_tasks("d", texts("0101010101" + "01010x"), SETTINGS)
    (task,) = found.tasks
    assert (task.name, task.dataset, found.left_out) == ("d", "d", {})
    assert task.examples.tolist() == list(range(15))
    assert task.labels.tolist() == [0, 1] * 7 + [0]
    assert task.splits.tolist() == ["train"] * 10 + ["test"] * 5
    assert facts(task, "n_train", "n_test", "n_shift", "n_unknown") == (10, 5, 0, 1)
    assert facts(task, "n_positive_train", "n_positive_test") == (5, 2)


def test_missing_labels_are_counted_and_left_out():
    labels = [None, *"101010101", "0", None, *"1010"]
    (task,) = find_tasks("d", texts(labels), SETTINGS).tasks
    assert facts(task, "n_missing", "n_unknown", "n_train", "n_test") == (2, 0, 9, 5)
    assert 0 not in task.examples and 11 not in task.examples


def test_columns_and_classes_are_in_names():
    made = texts("01" * 24, splits=["train"] * 24 + ["test"] * 24)
    made.labels["kind"] = list("abc" * 16)
    found = find_tasks("d", made, SETTINGS)
    assert [(task.name, task.facts["column"]) for task in found.tasks] == [
        ("d.label", "label"), ("d.kind=a", "kind"), ("d.kind=b", "kind"), ("d.kind=c", "kind"),
    ]  # fmt: skip


def test_words_go_with_a_column_of_two_classes():
    made = texts("0101010101" + "010101")
    words = {"positive": " good", "negative": " bad"}
    (task,) = find_tasks("d", made, SETTINGS, {"label": words}).tasks
    assert task.facts["words"] == words
    (task,) = find_tasks("d", made, SETTINGS, {"other": words}).tasks
    assert "words" not in task.facts


def test_the_first_of_the_larger_class_are_taken_in_each_split():
    (task,) = find_tasks("d", texts("1111110000" + "100010"), SETTINGS | {"balance": "post"}).tasks
    assert task.examples.tolist() == [0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 14]
    assert task.labels.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1]
    assert facts(task, "n_train", "n_test", "n_balanced_away") == (8, 4, 4)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ("1111111111" + "010101", "training texts of one class only: 1"),
        ([None] * 10 + list("010101"), "training texts of one class only: no label"),
        ("1110111011" + "010101", "8 positive and 2 negative train texts; at least 4 of each"),
        ("0101010101" + "111110", "5 positive and 1 negative test texts; at least 2 of each"),
    ],
)
def test_a_task_with_too_few_texts_is_left_out_with_its_reason(labels, reason):
    found = find_tasks("d", texts(labels), SETTINGS)
    assert found.tasks == []
    assert found.left_out["d"].startswith(reason)


def test_a_rare_class_is_left_out_and_its_texts_are_of_the_rest():
    labels = "aaaabbbbaabbc" + "aabbaabb"
    found = find_tasks("d", texts(labels, splits=["train"] * 13 + ["test"] * 8), SETTINGS)
    assert [task.name for task in found.tasks] == ["d=a", "d=b"]
    assert list(found.left_out) == ["d=c"]
    assert facts(found.tasks[0], "n_train", "n_positive_train") == (13, 6)


def test_a_second_distribution_of_one_class_is_no_test():
    splits = PATTERN + ("shift",) * 3
    (task,) = find_tasks("d", texts("0101010101" + "010101" + "11x", splits=splits), SETTINGS).tasks
    assert facts(task, "n_shift", "n_one_sided_shift", "n_unknown") == (0, 2, 1)
    (task,) = find_tasks("d", texts("0101010101" + "010101" + "110", splits=splits), SETTINGS).tasks
    assert facts(task, "n_shift", "n_positive_shift", "n_one_sided_shift") == (3, 2, 0)
    examples, labels = task.of("shift")
    assert (examples.tolist(), labels.tolist()) == ([16, 17, 18], [1, 1, 0])
