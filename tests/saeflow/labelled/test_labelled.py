"""Labelled texts as they are written and read again."""

import numpy as np
import pytest

from saeflow.errors import DamagedError
from saeflow.files import read_json, write_json
from saeflow.labelled.labelled import Labelled, LabelledTask, read_labelled, write_labelled
from saeflow.work import hold

SPLITS = np.array(["train", "test", "train", "shift"])


def task(name, dataset, examples, labels):
    examples = np.array(examples, np.int64)
    found = np.array(labels, np.int8), SPLITS[examples], {"rule": "binary"}
    return LabelledTask(name, dataset, examples, *found)


MADE = Labelled(
    ["a good one ", "bad", "x [so] ", "y"],
    SPLITS,
    np.array(["films", "films", "z", "z"]),
    np.array([[2, 6], [0, 3], [3, 5], [0, 1]]),
    [np.array([[2, 6]]), None, np.zeros((0, 2), np.int64), np.array([[0, 1], [0, 1]])],
    [
        task("films.good", "films", [0, 1], [1, 0]),
        task("films.long", "films", [0], [1]),
        task("a", "z", [2, 3], [0, 1]),
    ],
)


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "labelled.json"
    with hold(path, "0" * 64) as work:
        work.restart()
        write_labelled(work.path, MADE)
        tasks = {one.name: one.facts for one in MADE.tasks}
        work.finish({"n_examples": 4, "n_labels": 5, "tasks": tasks})
    return path


def test_what_is_written_is_read(record):
    found = read_labelled(record)
    assert found.texts == MADE.texts
    for name in ("splits", "datasets", "spans"):
        np.testing.assert_array_equal(getattr(found, name), getattr(MADE, name))
    assert [None if one is None else one.tolist() for one in found.concepts] == [
        [[2, 6]],
        None,
        [],
        [[0, 1], [0, 1]],
    ]
    for one, other in zip(found.tasks, MADE.tasks, strict=True):
        assert (one.name, one.dataset, one.facts) == (other.name, other.dataset, other.facts)
        for name in ("examples", "labels", "splits"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert getattr(one, name).dtype == getattr(other, name).dtype


def test_a_task_gives_the_examples_of_a_split(record):
    good, _, last = read_labelled(record).tasks
    examples, labels = good.of("test")
    assert (examples.tolist(), labels.tolist()) == ([1], [0])
    assert [one.tolist() for one in good.of("shift")] == [[], []]
    assert [one.tolist() for one in last.of("shift")] == [[3], [1]]


@pytest.mark.parametrize("count", ["n_examples", "n_labels"])
def test_what_is_not_complete_is_not_read(record, count):
    facts = read_json(record)
    write_json(record, facts | {count: 7})
    with pytest.raises(DamagedError, match="not complete.*7"):
        read_labelled(record)
