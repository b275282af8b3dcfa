"""Entries under `labelled`, and what refers to them."""

import re
from pathlib import Path

import pytest
import yaml

from saeflow.config.checks import resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORLD = {"generate": {"n_prompts": 30}}
NAMED = ("labelled", "mine")
HUB = {"hub": "org/imdb", "revision": COMMIT, "split": "train"}
BAD = [
    ({"paht": "a.jsonl"}, "labelled > mine", "hub"),
    ({"path": "a.csv", "label": []}, "mine > label", "1"),
    ({"path": "a.csv", "label": ["a", "a"]}, "mine > label", "twice"),
    ({"path": "a.csv", "label": 3}, "mine > label", "3"),
    ({"path": "a.csv", "classes": 1}, "mine > classes", "2"),
    ({"path": "a.csv", "rule": "mean"}, "mine > rule", "median"),
    ({"path": "a.csv", "balance": "both"}, "mine > balance", "post"),
    ({"path": "a.csv", "duplicates": "yes"}, "mine > duplicates", "keep"),
    ({"path": "a.csv", "examples": 0}, "mine > examples", "1"),
    ({"path": "a.csv", "positive": 0.5}, "mine > positive", "0.5"),
    ({"path": "a.csv", "test": 1}, "mine > test", "1"),
    (
        {"path": "a.csv", "template": "Is it good?"},
        "mine > template: the text has no place",
        "{text}",
    ),
    (
        {"path": "a.csv", "template": "{text}{text}"},
        "mine > template: the text has no place",
        "once",
    ),
    (
        {"path": "a.csv", "longer_than": 250, "shorter_than": 251},
        "mine > shorter_than: no text is that long",
        "at least 252",
    ),
    (
        {"path": "a.csv", "test": 0.1, "test_path": "b.csv"},
        "mine > test: the test texts are given",
        "`test` or `test_path`",
    ),
    ({**HUB, "test": 0.1, "test_split": "test"}, "mine > test: the test texts", "`test_split`"),
    (
        {"path": "a.csv", "label": ["a", "b"], "words": {"positive": " a", "negative": " b"}},
        "mine > words: two words answer one question",
        "got a, b",
    ),
    ({"path": "a.csv", "words": {"positive": " a"}}, "mine > words: the key 'negative'", ""),
    ({"path": "a.csv", "expect": {"training": 3}}, "mine > expect", "train"),
    ({**HUB, "revision": "main"}, "mine > revision", "commit"),
    ({"hub": "org/imdb", "revision": COMMIT}, "mine: the key 'split' is missing", ""),
    ({**HUB, "shift_path": "a.csv"}, "mine > shift_path", ""),
    ({"generate": "cloze", "dataset": "world"}, "mine > generate", "sentiment"),
    ({"generate": "sentiment"}, "mine: the key 'dataset' is missing", ""),
    ({"generate": "sentiment", "dataset": "x"}, "there is no 'x' under datasets", ""),
    ({"generate": "sentiment", "dataset": "texts"}, "this dataset has no reviews", "world"),
]


@pytest.mark.parametrize(("value", "first", "second"), BAD)
def test_what_does_not_fit_together_is_refused(config, refused, value, first, second):
    config["datasets"]["world"] = WORLD
    message = refused(NAMED, value)
    assert first in message
    assert second in message
    assert "\n" not in message


def test_entries_keep_what_was_given_and_their_defaults(config):
    config["datasets"]["world"] = WORLD
    config["labelled"] = {
        "imdb": {**HUB, "test_split": "test", "expect": {"train": 1802}},
        "mine": {"path": "a.csv", "label": ["a", "b"], "longer_than": 0, "positive": False},
        "reviews": {"generate": "sentiment", "dataset": "world"},
    }
    own = {"examples": None, "seed": 0}
    read = {
        **own, "text": "text", "label": ["label"], "rule": "auto", "classes": 10, "balance": "none",
        "duplicates": "drop",
    }  # fmt: skip
    assert resolve(config)["labelled"] == {
        "imdb": {**read, **config["labelled"]["imdb"]},
        "mine": {**read, **config["labelled"]["mine"]},
        "reviews": {**own, **config["labelled"]["reviews"]},
    }


def test_the_name_of_a_packing_cannot_be_that_of_labelled_texts(refused):
    message = refused(("packings", "labelled"), {"context_length": 8})
    assert "packings > labelled: this name stands for labelled texts" in message


def test_the_entries_of_the_documentation_are_entries(config):
    page = Path(__file__).parents[3] / "docs" / "labelled.md"
    (block,) = re.findall(r"```yaml\n(.+?)```", page.read_text(), re.S)
    config |= yaml.safe_load(block)
    config["datasets"]["world"] = WORLD
    assert len(resolve(config)["labelled"]) == 6
