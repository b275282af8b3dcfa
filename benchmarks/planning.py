"""What a run costs that has nothing, or next to nothing, to do; the results are pretended.

Of the default study, and of one with ten times the results: seeds are added.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.figure import REPEATS, Figure, seconds

ROOT = Path(__file__).parents[1]
SEEDS = 12


def figures() -> Iterator[Figure]:
    """Yield seconds: of a second run, of one of thousands of results, of a pass already made."""
    sys.path.insert(0, str(ROOT / "tests"))
    place = Path(tempfile.mkdtemp(prefix="saeflow-bench-"))
    try:
        tree, n = _pretended(place / "default")
        yield _figure(f"a run of {n} results that are there", lambda: _run(tree), 3.0)
        yield _figure("a pass that finds its results made", lambda: _pass(tree), 0.3)
        tree, n = _pretended(place / "large", seeds=list(range(SEEDS)))
        yield _figure(f"a run of {n:,} results that are there", lambda: _run(tree), 10.0)
    finally:
        shutil.rmtree(place)


def _figure(name: str, run: Any, target: float) -> Figure:
    times = [seconds(run) for _ in range(REPEATS)]
    return Figure(name, statistics.median(times), target, False, "s")


def _pretended(path: Path, **study: Any) -> tuple[Any, int]:
    """Return a tree with the default configuration, everything in place, and how much that is."""
    from dag.tree import Tree

    tree = Tree.make(path)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["studies"]["suppression"].update(study)
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    tree.pretend()
    return tree, len(tree.ask("identities"))


def _run(tree: Any) -> None:
    done = tree.snakemake()
    assert "Nothing to do" in done.stdout + done.stderr, done.stderr


def _pass(tree: Any) -> None:
    """Start the job of a pass of fine-tuning, whose results are all there."""
    plan = "0" * 16
    path = tree.path / f"results/.plans/{plan}.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(tree.ask("described", "finetune_saes")))
    command = [sys.executable, "-P", "scripts/finetune_saes.py", plan, f"results/{plan}.json"]
    environment = {**os.environ, "PYTHONPATH": str(tree.path / "workflow")}
    subprocess.run(command, cwd=tree.path, env=environment, check=True, capture_output=True)
