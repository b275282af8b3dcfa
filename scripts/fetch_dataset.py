"""Fetch a dataset from the hub, or read a local file."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Fetch a dataset from the hub, or read a local file."""
    from saeflow.datasets.prepare import prepare_dataset

    (task,) = tasks
    prepare_dataset(task.work, task.settings, path=task.arguments.get("path"))


if __name__ == "__main__":
    run(main, network=True)
