"""Fetch labelled texts from the hub, read local files, or generate them."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Fetch labelled texts from the hub, read local files, or generate them."""
    from saeflow.labelled.prepare import prepare_labelled

    (task,) = tasks
    prepare_labelled(task.work, task.settings, task.arguments)


if __name__ == "__main__":
    run(main, network=True)
