"""Prompt sets from a hub on a loopback port."""

import json

import pytest

from local_hub import COMMIT, DOWN, ask_in_child, local_hub, parquet

README = """---
configs:
- config_name: CN
  data_files:
  - split: validation
    path: CN/validation.parquet
---
"""
CLOZE = [
    {
        "sentences": [f"s{i} .", "and so on ."],
        "question": "the XXXXX came in .",
        "answer": "cat",
        "options": ["cat", "dog", f"pig{i}"],
    }
    for i in range(3)
]
LAMBADA = [{"text": "the end of the story"}, {"text": "the end of the\nworld at last"}]
FILES = {
    "datasets/org/cbt": {"README.md": README.encode(), "CN/validation.parquet": parquet(CLOZE)},
    "datasets/org/lambada": {"test.jsonl": "\n".join(map(json.dumps, LAMBADA)).encode()},
}
CBT = {"hub": "org/cbt", "config": "CN", "split": "validation"}


def prepared(settings, directory):
    from saeflow.files import read_json
    from saeflow.prompts.prepare import prepare_prompts
    from saeflow.prompts.prompt import read_prompts
    from saeflow.work import hold

    record = directory / "prompts.json"
    with hold(record, "p" * 64) as work:
        prepare_prompts(work, settings)
    found = read_prompts(record)
    return [found.kind, [list(p) for p in found.prompts], read_json(record)["columns"]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Answers to some entries, all in one process, and to the first ones without the hub."""
    asked = [
        CBT,
        {"hub": "org/lambada", "split": "test"},
        {**CBT, "n_prompts": 2},
        {**CBT, "text": "body"},
        {**CBT, "n_prompts": 4},
    ]
    defaults = {"revision": COMMIT, "form": "auto", "n_prompts": None, "window": None}
    asked = [{**defaults, **one} for one in asked]
    root = tmp_path_factory.mktemp("hub")
    with local_hub(FILES) as hub:
        found = ask_in_child(prepared, asked, root, hub.url, root / "up")
    return found, ask_in_child(prepared, asked[:2], root, DOWN, root / "down")


def test_lists_in_columns_become_passages_and_candidates(answers):
    kind, prompts, columns = answers[0][0]
    assert kind == "cloze"
    assert columns == {
        "text": "question", "passage": "sentences", "answer": "answer", "candidates": "options",
    }  # fmt: skip
    assert prompts == [
        [f"s{i} . and so on . the", "cat", ["cat", "dog", f"pig{i}"], " came in .", None, None]
        for i in range(3)
    ]


def test_texts_lose_their_last_word(answers):
    kind, prompts, _ = answers[0][1]
    assert kind == "last_word"
    assert [prompt[:2] for prompt in prompts] == [
        ["the end of the", "story"], ["the end of the\nworld at", "last"],
    ]  # fmt: skip


def test_so_many_are_the_first_ones(answers):
    assert answers[0][2][1] == answers[0][0][1][:2]


def test_what_is_not_there_is_named_with_the_repository(answers):
    column, number = answers[0][3:]
    assert column.startswith("DataError org/cbt > row 1: there is no column for the text")
    assert "sentences, question, answer, options" in column
    assert "expected at least 4; got 3" in number


def test_without_a_network_the_cache_serves(answers):
    assert answers[1] == answers[0][:2]
