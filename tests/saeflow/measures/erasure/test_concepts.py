import numpy as np
import pytest

from saeflow.errors import DataError
from saeflow.labelled.labelled import LabelledTask
from saeflow.measures.erasure.concepts import Examples, concepts_of
from saeflow.measures.erasure.prepare import alternating

SETTINGS = {"tasks": 1, "others": 1, "examples": 40, "seed": 0}


def make_task(name, labels, splits, **facts):
    labels = np.asarray(labels, dtype=np.int8)
    return LabelledTask(name, "d", np.arange(len(labels)) * 3, labels, np.asarray(splits), facts)


def make(name="a", n=120, share=4):
    """Of each four examples one is positive; two thirds are for training."""
    labels = (np.arange(n) // 3 % share == 0).astype(int)
    return make_task(name, labels, np.array(["train", "train", "test"])[np.arange(n) % 3])


def test_halves_share_no_example_and_keep_the_classes():
    task = make()
    (edited,), read, left_out = concepts_of([task, make("b")], SETTINGS, where="texts")
    assert [concept.name for concept in read] == ["a", "b"] and not left_out
    assert edited is read[0]
    parts = [edited.edit, edited.read, edited.test]
    assert [len(part.numbers) for part in parts] == [20, 20, 40]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not set(parts[one].numbers) & set(parts[other].numbers)
    label_of = dict(zip(task.examples.tolist(), task.labels.tolist(), strict=True))
    split_of = dict(zip(task.examples.tolist(), task.splits.tolist(), strict=True))
    for part, split in zip(parts, ("train", "train", "test"), strict=True):
        assert part.labels.tolist() == [label_of[n] for n in part.numbers.tolist()]
        assert {split_of[n] for n in part.numbers.tolist()} == {split}
        assert part.fewest == part.labels.sum() == len(part.labels) // 4


def test_a_task_with_too_few_examples_is_left_out():
    few = make_task("few", [1, 0, 0, 0, 1, 0], ["train"] * 4 + ["test"] * 2)
    edited, read, left_out = concepts_of([few, make()], SETTINGS, where="texts")
    assert [concept.name for concept in (*edited, *read)] == ["a", "a"]
    assert left_out == {"few": "0 examples of a class where 2 are needed"}
    with pytest.raises(DataError, match="no task has enough examples"):
        concepts_of([few], SETTINGS, where="texts")


def test_the_seed_alone_decides_which():
    numbers = [
        concepts_of([make()], SETTINGS | {"seed": seed}, where="texts")[0][0].edit.numbers.tolist()
        for seed in (0, 0, 1)
    ]
    assert numbers[0] == numbers[1] != numbers[2]


def test_texts_of_both_classes_take_turns():
    given = Examples(np.arange(6), np.array([0, 0, 0, 1, 0, 1]))
    got = alternating(given)
    assert got.numbers.tolist() == [3, 0, 5, 1, 2, 4]
    assert got.labels.tolist() == [1, 0, 1, 0, 0, 0]
