"""Prompt sets as runs make them, each by itself, as docs/prompts.md says it."""

from __future__ import annotations

import json
import subprocess
import sys

from dag.tree import Tree


def saeflow(tree: Tree, *arguments: str) -> str:
    """Run the command and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "saeflow.cli.main", *arguments],
        cwd=tree.path,
        env={
            "PYTHONPATH": str(tree.path / "workflow"),
            "PATH": "/usr/bin:/bin",
            "HOME": str(tree.path),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_sets_are_made_one_by_one_and_only_that_of_a_changed_file_anew(tmp_path):
    tree = Tree.make(tmp_path / "tree")
    rows = [{"text": "one two three"}, {"text": "and so on"}]
    (tree.path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sets = {
        "mine": {"path": "mine.jsonl"},
        "ioi": {"generate": "ioi", "n_prompts": 40},
        "who": {"generate": "owner_binding", "dataset": "world"},
    }

    def change(config):
        config["prompts"] = sets
        config["datasets"]["world"] = {"generate": {"n_tokens": 1000, "n_prompts": 20}}

    tree.configure(change)
    records = {name: f"results/prompts/{name}/prompts.json" for name in sets}
    saeflow(tree, "make", *records.values(), "--cores", "2")
    facts = {name: json.loads((tree.path / record).read_text()) for name, record in records.items()}
    assert {name: found["n_prompts"] for name, found in facts.items()} == {
        "mine": 2, "ioi": 40, "who": 20,
    }  # fmt: skip
    assert "40, choice" in saeflow(tree, "info", records["ioi"])
    before = {name: (tree.path / record).stat().st_mtime_ns for name, record in records.items()}
    tree.append("mine.jsonl", '\n{"text": "and on"}\n')
    saeflow(tree, "make", *records.values(), "--cores", "2")
    after = {name: (tree.path / record).stat().st_mtime_ns for name, record in records.items()}
    assert {name for name in sets if before[name] != after[name]} == {"mine"}
