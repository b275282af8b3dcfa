"""Labelled texts from a hub on a loopback port."""

from local_hub import COMMIT, ask_in_child, local_hub, parquet

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
ROWS = {
    split: [{"doc": {"body": f"{split} {i}"}, "label": i % 2} for i in range(n)]
    for split, n in (("train", 40), ("test", 10))
}


def prepared(settings, directory):
    from saeflow.labelled.labelled import read_labelled
    from saeflow.labelled.prepare import prepare_labelled
    from saeflow.work import hold

    record = directory / "labelled.json"
    with hold(record, "p" * 64) as work:
        prepare_labelled(work, settings)
    found = read_labelled(record)
    (task,) = found.tasks
    return [found.texts, found.splits.tolist(), task.name, task.labels.tolist()]


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
        both, shared, none = ask_in_child(prepared, asked, tmp_path, hub.url, tmp_path)
    assert both == [
        [row["doc"]["body"] for split in ("train", "test") for row in ROWS[split]],
        ["train"] * 40 + ["test"] * 10,
        "mine",
        [0, 1] * 25,
    ]
    assert len(shared[0]) == 40
    assert set(shared[1]) == {"train", "test"}
    assert none.startswith("ConfigError") and "no such split" in none
