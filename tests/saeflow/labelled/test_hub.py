"""Labelled texts from a hub on a loopback port, in a process of its own, as `datasets` needs it."""

import io
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from local_hub import COMMIT, local_hub

README = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: train.parquet
  - split: test
    path: test.parquet
---
"""
CHILD = """
import json, sys
from pathlib import Path
import saeflow.hub
from saeflow.labelled.labelled import read_labelled
from saeflow.labelled.prepare import prepare_labelled
from saeflow.work import hold
saeflow.hub._WAITS_S = (0.01,)
answers = []
for number, settings in enumerate(json.loads(sys.argv[1])):
    record = Path(sys.argv[2]) / str(number) / "labelled.json"
    try:
        with hold(record, "p" * 64) as work:
            prepare_labelled(work, settings)
        found = read_labelled(record)
        (task,) = found.tasks
        answers.append([found.texts, found.splits.tolist(), task.name, task.labels.tolist()])
    except Exception as error:
        answers.append(f"{type(error).__name__} {error}")
print(json.dumps(answers))
"""
ROWS = {
    split: [{"doc": {"body": f"{split} {i}"}, "label": i % 2} for i in range(n)]
    for split, n in (("train", 40), ("test", 10))
}


def parquet(rows):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def settings(**own):
    return {
        "name": "mine", "hub": "org/reviews", "revision": COMMIT, "split": "train",
        "text": "doc.body", "label": ["label"], "rule": "auto", "classes": 10, "balance": "none",
        "duplicates": "drop", "examples": None, "seed": 0, **own,
    }  # fmt: skip


def test_splits_of_the_hub_are_read_as_they_are(tmp_path):
    files = {f"{split}.parquet": parquet(rows) for split, rows in ROWS.items()}
    asked = [settings(test_split="test"), settings(test=0.5), settings(test_split="none")]
    with local_hub({"datasets/org/reviews": {"README.md": README.encode(), **files}}) as hub:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(asked), str(tmp_path)],
            env={
                **os.environ,
                "HF_ENDPOINT": hub.url,
                "HF_HOME": str(tmp_path),
                "HF_HUB_DISABLE_XET": "1",
            },
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    both, shared, none = json.loads(done.stdout)
    assert both == [
        [row["doc"]["body"] for split in ("train", "test") for row in ROWS[split]],
        ["train"] * 40 + ["test"] * 10,
        "mine",
        [0, 1] * 25,
    ]
    assert len(shared[0]) == 40
    assert set(shared[1]) == {"train", "test"}
    assert none.startswith("ConfigError") and "no such split" in none
