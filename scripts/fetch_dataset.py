"""Fetch a dataset from the hub, or read a local file."""

from __future__ import annotations

from pathlib import Path

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Fetch a dataset from the hub, or read a local file."""
    from saeflow.datasets.prepare import prepare_dataset

    (task,) = tasks
    path = task.arguments.get("path")
    prepare_dataset(task.work, task.settings, path=path and Path(path))


if __name__ == "__main__":
    run(main, network=True)
