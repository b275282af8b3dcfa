"""Entries under `prompts`, and what refers to them."""

import re
from pathlib import Path

import pytest
import yaml

from saeflow.config.checks import resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORLD = {"generate": {"n_prompts": 30}}
NAMED = ("prompts", "mine")
BAD = [
    (NAMED, {"paht": "a.jsonl"}, "prompts > mine", "hub"),
    (NAMED, {"path": "a.jsonl", "form": "quiz"}, "mine > form", "last_word"),
    (NAMED, {"path": "a.jsonl", "n_prompts": 0}, "mine > n_prompts", "1"),
    (NAMED, {"path": "a.jsonl", "window": 0}, "mine > window", "1"),
    (NAMED, {"hub": "org/cbt", "revision": "main", "split": "test"}, "mine > revision", "commit"),
    (NAMED, {"hub": "org/cbt", "revision": COMMIT}, "mine: the key 'split' is missing", ""),
    (NAMED, {"generate": "riddles"}, "mine > generate", "cloze"),
    (NAMED, {"generate": "cloze"}, "mine > dataset: prompts of the world need a dataset", ""),
    (NAMED, {"generate": "cloze", "dataset": "x"}, "dataset: there is no 'x' under datasets", ""),
    (NAMED, {"generate": "cloze", "dataset": "texts"}, "this dataset has no prompts", "world"),
    (
        NAMED,
        {"generate": "cloze", "dataset": "world", "n_prompts": 31},
        "mine > n_prompts: the world has fewer prompts",
        "at most 30; got 31",
    ),
    (
        NAMED,
        {"generate": "cloze", "dataset": "world", "seed": 1},
        "mine > seed: this key does not go with what is generated",
        "that of the dataset",
    ),
    (
        NAMED,
        {"generate": "ioi", "dataset": "world"},
        "mine > dataset: this key does not go with what is generated",
        "in English",
    ),
    (("packings", "prompts"), {"context_length": 8}, "packings > prompts: this name stands", ""),
]


@pytest.mark.parametrize(("path", "value", "first", "second"), BAD)
def test_what_does_not_fit_together_is_refused(config, refused, path, value, first, second):
    config["datasets"]["world"] = WORLD
    message = refused(path, value)
    assert first in message
    assert second in message
    assert "\n" not in message


def test_entries_keep_what_was_given_and_nothing_else(config):
    config["datasets"]["world"] = WORLD
    config["prompts"] = {
        "lambada": {"path": "lambada.jsonl"},
        "cbt": {"hub": "org/cbt", "config": "CN", "split": "test", "revision": COMMIT},
        "cloze": {"generate": "cloze", "dataset": "world", "n_prompts": 30},
        "ioi": {"generate": "ioi", "seed": 3, "window": 8},
        "named": {"path": "a.csv", "text": "q", "answer": "a", "form": "last_word"},
    }
    both = {"n_prompts": None, "window": None}
    assert resolve(config)["prompts"] == {
        "lambada": {"path": "lambada.jsonl", "form": "auto", **both},
        "cbt": {**config["prompts"]["cbt"], "form": "auto", **both},
        "cloze": {**config["prompts"]["cloze"], "window": None},
        "ioi": {**config["prompts"]["ioi"], "n_prompts": None},
        "named": {**config["prompts"]["named"], **both},
    }


def test_a_study_names_prompt_sets_that_are_there(config, refused):
    config["prompts"] = {"mine": {"generate": "ioi"}}
    study = dict(config["studies"]["suppression"])
    del study["methods"]
    config["studies"]["reconstruction"] = study | {"prompts": ["mine"]}
    assert resolve(config)["studies"]["reconstruction"]["prompts"] == ["mine"]
    message = refused(("studies", "reconstruction", "prompts"), ["mien"])
    assert "reconstruction > prompts: there is no 'mien' under prompts" in message
    assert "Did you mean 'mine'?" in message


def test_the_entries_of_the_documentation_are_entries(config):
    page = Path(__file__).parents[3] / "docs" / "prompts.md"
    (block,) = re.findall(r"```yaml\n(.+?)```", page.read_text(), re.S)
    config |= yaml.safe_load(block)
    config["datasets"]["world"] = WORLD
    assert len(resolve(config)["prompts"]) == 6
