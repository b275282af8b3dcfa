"""Rows of files as texts with labels."""

import math

import numpy as np
import pytest

from saeflow.errors import DataError
from saeflow.labelled.texts import joined, label_of, texts_of

SETTINGS = {"text": "text", "label": ["label"]}


def read(*rows, split="train", **settings):
    numbered = [(f"a.jsonl > line {i + 1}", row) for i, row in enumerate(rows)]
    return texts_of(numbered, SETTINGS | settings, split)


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ([1, 1.0, "1", "1.0", " 1. "], "1"),
        ([True, "true", "True", "TRUE"], "True"),
        ([0.5, "0.5"], "0.5"),
        ([-3, "-3.00"], "-3"),
        ([" so ", "so"], "so"),
        ([None, "", "  ", math.nan, "nan", "NA", "null", "None"], None),
    ],
)
def test_a_label_is_the_same_however_a_file_writes_it(values, label):
    assert {label_of(value, "here") for value in values} == {label}


@pytest.mark.parametrize("value", [["a", "b"], {"a": 1}])
def test_a_label_that_is_several_is_refused(value):
    with pytest.raises(DataError, match="line 1: a label is neither a text nor a number"):
        read({"text": "so", "label": value})


def test_columns_are_found_by_name_and_below_others():
    row = {"meta": {"body": "so it is", "is": {"good": 1}}, "is": {"good": 2}, "x.y": "yes"}
    found = read(row, text="meta.body", label=["meta.is.good", "is.good", "x.y"])
    assert found.texts == ["so it is"]
    assert found.labels == {"meta.is.good": ["1"], "is.good": ["2"], "x.y": ["yes"]}
    assert found.places == ["a.jsonl > line 1"]
    assert found.splits.tolist() == ["train"]


@pytest.mark.parametrize(
    ("row", "settings", "message"),
    [
        ({"text": "so"}, {}, "line 1: there is no column 'label'.*one of text.*`label`"),
        ({"label": 1}, {}, "there is no column 'text'.*one of label.*`text`"),
        ({"text": "so", "label": 1}, {"concept": "at"}, "no column 'at'.*`concept`"),
        ({"text": 3, "label": 1}, {}, "the column 'text' holds no text.*got int"),
        ({"text": "so \udce9", "label": 1}, {}, "not UTF-8.*0xe9"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(row, settings, message):
    with pytest.raises(DataError, match=message):
        read(row, **settings)


def test_half_an_emoji_is_replaced_and_no_text_is_empty():
    found = read({"text": "a \ud83d b", "label": "\ud83d"}, {"text": None, "label": 1})
    assert found.texts == ["a \N{REPLACEMENT CHARACTER} b", ""]
    assert found.labels["label"] == ["\N{REPLACEMENT CHARACTER}", "1"]


@pytest.mark.parametrize("words", ["bad|not bad", ["not bad", "bad"], ["bad", "not bad", ""]])
def test_a_concept_stands_where_its_words_do(words):
    text = "bad, not bad; badly"
    (spans,) = read({"text": text, "label": 1, "at": words}, concept="at").concepts
    assert [text[a:b] for a, b in spans] == ["bad", "not bad"]
    assert spans.tolist() == [[0, 3], [5, 12]]


@pytest.mark.parametrize("words", [None, "", [], "good", "adl"])
def test_a_concept_without_its_words_in_the_text_is_not_known(words):
    assert read({"text": "badly", "label": 1, "at": words}, concept="at").concepts == [None]


def test_some_of_them_are_taken_and_put_together_in_order():
    both = joined([read({"text": "a", "label": 1}), read({"text": "b", "label": 0}, split="test")])
    assert both.splits.tolist() == ["train", "test"]
    last = both.take(np.array([False, True]))
    assert (last.texts, last.labels, last.splits.tolist()) == (["b"], {"label": ["0"]}, ["test"])
