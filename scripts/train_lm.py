"""Train a small language model, resuming where an earlier run was."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Train a small language model, resuming where an earlier run was."""
    from saeflow.models.train_lm import train_lm

    (task,) = tasks
    train_lm(task.work, task.inputs["tokens"], task.inputs["tokenizer"], task.settings)


if __name__ == "__main__":
    run(main)
