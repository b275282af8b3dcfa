"""Make a control of a model: its weights with their entries permuted."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Make a control of a model: its weights with their entries permuted."""
    from saeflow.models.shuffled import shuffle_model

    (task,) = tasks
    shuffle_model(task.work, task.inputs["model"], **task.settings)


if __name__ == "__main__":
    run(main)
