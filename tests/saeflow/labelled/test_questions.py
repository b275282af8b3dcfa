"""Classes and medians of labels."""

import pytest

from saeflow.errors import DataError
from saeflow.labelled.questions import find_questions

SETTINGS = {"rule": "auto", "classes": 3}


def ask(labels, others=(), **settings):
    places = [f"line {i + 1}" for i in range(len(labels))]
    return find_questions(labels, places, [*labels, *others], SETTINGS | settings)


def asked(*args, **settings):
    return {one.suffix: (one.facts["positive"], one.answers) for one in ask(*args, **settings)}


@pytest.mark.parametrize(
    ("labels", "positive", "negative"),
    [
        (["1", "0", "1"], "1", "0"),
        (["10", "9"], "10", "9"),
        (["False", "True"], "True", "False"),
        (["yes", "no", None], "yes", "no"),
        (["-1.5", "0.5"], "0.5", "-1.5"),
        (["5", "unsure"], "unsure", "5"),
    ],
)
def test_of_two_classes_the_later_one_is_positive(labels, positive, negative):
    (one,) = ask(labels)
    assert one.facts == {"rule": "binary", "positive": positive, "negative": negative}
    assert one.answers == {positive: 1, negative: 0}
    assert one.suffix == ""


@pytest.mark.parametrize("positive", ["no", "maybe"])
def test_the_positive_class_may_be_named(positive):
    ((given, answers),) = asked(["no", "yes"], positive=positive).values()
    assert given == ("no" if positive == "no" else "yes")
    assert answers[given] == 1


def test_a_named_class_is_read_like_a_label():
    assert asked(["0", "1"], positive=0)[""][0] == "0"
    assert asked(["False", "True"], positive=False)[""][0] == "False"


def test_of_more_classes_each_is_held_against_the_rest():
    found = asked(["a", "b", "c", "a"])
    assert list(found) == ["=a", "=b", "=c"]
    assert found["=b"] == ("b", {"a": 0, "b": 1, "c": 0})


def test_of_many_classes_the_most_frequent_are_asked_about_and_all_are_the_rest():
    labels = ["d"] * 3 + ["a"] * 2 + ["b"] + ["c"] * 2
    questions = ask(labels, classes=2)
    assert [one.suffix for one in questions] == ["=a", "=d"]  # a before c, as frequent
    assert questions[0].answers == {"a": 1, "b": 0, "c": 0, "d": 0}
    assert questions[0].facts == {
        "rule": "one_vs_rest", "positive": "a", "negative": "the rest",
        "n_classes": 4, "n_classes_asked": 2,
    }  # fmt: skip
    assert list(asked(labels, positive="b")) == ["=b"]


def test_classes_are_those_of_training_texts():
    assert asked(["a", "b"], others=["c"])[""][1] == {"a": 0, "b": 1}
    assert ask(["a", "a", None], others=["b"]) == []
    assert ask([None]) == ask([]) == []


def test_few_whole_numbers_are_classes_and_more_are_held_against_their_median():
    assert list(asked(["1", "2", "3"])) == ["=1", "=2", "=3"]
    (one,) = ask(["1", "2", "3", "4"], others=["7", "word", None])
    assert one.facts == {
        "rule": "median", "positive": "above 2.5", "negative": "at most 2.5", "threshold": 2.5,
    }  # fmt: skip
    assert one.answers == {"1": 0, "2": 0, "3": 1, "4": 1, "7": 1}
    assert list(asked(["1", "2", "3", "4"], rule="classes", classes=2)) == ["=1", "=2"]


def test_fractions_are_held_against_their_median():
    (one,) = ask(["0.5", "1", "2"])
    assert one.facts["threshold"] == 1
    assert one.answers == {"0.5": 0, "1": 0, "2": 1}


def test_a_median_that_most_have_is_on_the_side_where_it_divides():
    (one,) = ask(["1", "2", "5", "5", "5"], rule="median")
    assert one.facts["positive"] == "at least 5"
    assert one.answers == {"1": 0, "2": 0, "5": 1}


def test_a_median_of_two_classes_may_be_asked_for():
    assert ask(["0", "1"], rule="median")[0].facts["threshold"] == 0.5


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (["1", "2", "so"], {"rule": "median"}, "line 3: a label is a text, and numbers are asked"),
        (["1", "2.5", "3", "?", "4"], {}, "line 4: a label is a text, and most are num.*got ?"),
    ],
)
def test_a_text_where_numbers_are_needed_is_refused_with_its_place(labels, settings, message):
    with pytest.raises(DataError, match=message):
        ask(labels, **settings)


def test_texts_with_some_numbers_among_them_are_classes():
    assert list(asked(["a", "b", "c", "1984", "1"], classes=2)) == ["=1", "=1984"]
