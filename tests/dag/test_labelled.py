"""Labelled texts as runs make them, each by itself, as docs/labelled.md says it."""

from __future__ import annotations

import json

from dag.test_prompts import saeflow
from dag.tree import Tree


def test_they_are_made_one_by_one_and_only_those_of_a_changed_file_anew(tmp_path):
    tree = Tree.make(tmp_path / "tree")
    rows = [{"text": f"one {i}", "label": i % 2} for i in range(60)]
    for name in ("mine", "far"):
        (tree.path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        rows = [{**row, "text": f"other {row['text']}"} for row in rows]
    sets = {
        "mine": {"path": "mine.jsonl", "shift_path": "far.jsonl"},
        "alone": {"path": "mine.jsonl"},
        "reviews": {"generate": "sentiment", "dataset": "world"},
    }

    def change(config):
        config["labelled"] = sets
        config["datasets"]["world"] = {"generate": {"n_tokens": 1000, "n_prompts": 40}}

    tree.configure(change)
    records = {name: f"results/labelled/{name}/labelled.json" for name in sets}
    saeflow(tree, "make", *records.values(), "--cores", "2")
    facts = {name: json.loads((tree.path / record).read_text()) for name, record in records.items()}
    assert {name: found["n_examples"] for name, found in facts.items()} == {
        "mine": 120, "alone": 60, "reviews": 240,
    }  # fmt: skip
    assert facts["mine"]["n_shift"] == 60
    assert not (tree.path / "results/datasets").exists()
    assert "6 of 1 dataset" in saeflow(tree, "info", records["reviews"])
    before = {name: (tree.path / record).stat().st_mtime_ns for name, record in records.items()}
    tree.append("far.jsonl", '\n{"text": "and on", "label": 1}\n')
    saeflow(tree, "make", *records.values(), "--cores", "2")
    after = {name: (tree.path / record).stat().st_mtime_ns for name, record in records.items()}
    assert {name for name in sets if before[name] != after[name]} == {"mine"}
