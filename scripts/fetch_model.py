"""Fetch a model from the hub, or copy a local one."""

from __future__ import annotations

from pathlib import Path

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Fetch a model from the hub, or copy a local one."""
    from saeflow.models.fetch import fetch_model

    (task,) = tasks
    path = task.arguments.get("path")
    fetch_model(task.work, task.settings, path=path and Path(path))


if __name__ == "__main__":
    run(main, network=True)
