"""Datasets from a hub on a loopback port."""

from __future__ import annotations

import json

import pytest

from local_hub import COMMIT, DOWN, ask_in_child, local_hub

README = """---
configs:
- config_name: plain
  default: true
  data_files:
  - split: train
    path: data/train.jsonl
- config_name: rated
  data_files:
  - split: train
    path: data/rated.jsonl
---
"""
ROWS = [{"text": f"document {i}", "label": i} for i in range(5)]
FILES = {
    "datasets/org/text": {
        "README.md": README.encode(),
        "data/train.jsonl": "\n".join(map(json.dumps, ROWS)).encode(),
        "data/rated.jsonl": b'{"text": "rated"}\n',
    }
}


def rows(settings, _):
    import pyarrow as pa

    from saeflow.datasets.hub import hub_source

    batches = hub_source(settings).batches()
    return [row for batch in batches for row in pa.table(batch.columns).to_pylist()]


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Read datasets in a child process, with the hub up or down; a cache outlives a call."""
    home = tmp_path_factory.mktemp("home")
    with local_hub(FILES) as hub:

        def read(*changes, down=False):
            asked = [
                {"hub": "org/text", "revision": COMMIT, "split": "train", **change}
                for change in changes
            ]
            return ask_in_child(rows, asked, home, DOWN if down else hub.url, home)

        yield read


@pytest.fixture(scope="module")
def answers(ask):
    """Answers to several questions, all in one process: it costs seconds to start."""
    return ask(
        {},
        {"n_documents": 2},
        {"config": "rated"},
        {"split": "nope"},
        {"config": "nope"},
        {"hub": "org/none"},
        {"revision": "f" * 40},
        {"revision": "main"},
    )


def test_rows_come_with_all_columns(answers):
    assert answers[0] == ROWS


def test_a_number_of_documents_takes_the_first_ones(answers):
    assert answers[1] == ROWS[:2]


def test_the_configuration_is_chosen_by_name(answers):
    assert answers[2] == [{"text": "rated"}]


def test_an_unknown_split_or_configuration_lists_those_there_are(answers):
    assert answers[3].startswith("ConfigError") and "['train']" in answers[3]
    assert answers[4].startswith("ConfigError") and "plain" in answers[4]


def test_an_unknown_repository_or_commit_is_named(answers):
    assert answers[5].startswith("ConfigError dataset org/none: the hub has no such repository")
    assert answers[6].startswith("ConfigError dataset org/text: the repository has no such commit")


def test_a_branch_is_refused_and_its_commit_offered(answers):
    assert f"revision: {COMMIT}" in answers[7]


def test_without_a_network_the_cache_serves_what_was_asked_for_and_nothing_else(ask, answers):
    """Trap X51: `datasets` by itself takes the commit and configuration that it happens to have."""
    plain = {"config": "plain"}
    cached, *others = ask(plain, {**plain, "revision": "e" * 40}, {}, {"hub": "org/new"}, down=True)
    assert cached == ROWS
    for error, name in zip(others, ("org/text", "org/text", "org/new"), strict=True):
        assert error.startswith(f"NetworkError dataset {name}: the dataset cannot be fetched")
        assert "Connect to the network" in error
