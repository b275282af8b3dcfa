"""Make a model of one checkpoint of a trained model."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Make a model of one checkpoint of a trained model."""
    from saeflow.models.checkpoints import select_checkpoint

    (task,) = tasks
    select_checkpoint(task.work, task.inputs["model"], task.settings["step"])


if __name__ == "__main__":
    run(main)
