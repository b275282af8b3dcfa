"""Prompt sets from a hub on a loopback port, in a process of their own, as `datasets` needs it."""

import io
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local_hub import COMMIT, local_hub

README = """---
configs:
- config_name: CN
  data_files:
  - split: validation
    path: CN/validation.parquet
---
"""
CHILD = """
import json, sys
from pathlib import Path
import saeflow.hub
from saeflow.files import read_json
from saeflow.prompts.prepare import prepare_prompts
from saeflow.prompts.prompt import read_prompts
from saeflow.work import hold
saeflow.hub._WAITS_S = (0.01,)
answers = []
for number, settings in enumerate(json.loads(sys.argv[1])):
    record = Path(sys.argv[2]) / str(number) / "prompts.json"
    try:
        with hold(record, "p" * 64) as work:
            prepare_prompts(work, settings)
        found = read_prompts(record)
        answers.append([found.kind, [list(p) for p in found.prompts], read_json(record)["columns"]])
    except Exception as error:
        answers.append(f"{type(error).__name__} {error}")
print(json.dumps(answers))
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


def parquet(rows):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


FILES = {
    "datasets/org/cbt": {"README.md": README.encode(), "CN/validation.parquet": parquet(CLOZE)},
    "datasets/org/lambada": {"test.jsonl": "\n".join(map(json.dumps, LAMBADA)).encode()},
}
CBT = {"hub": "org/cbt", "config": "CN", "split": "validation"}


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
        environment = {
            **os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(root), "HF_HUB_DISABLE_XET": "1",
        }  # fmt: skip
        found = _answers(asked, root / "up", environment)
    return found, _answers(asked[:2], root / "down", environment)


def _answers(asked, root, environment):
    child = [sys.executable, "-c", CHILD, json.dumps(asked), str(root)]
    done = subprocess.run(child, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


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
