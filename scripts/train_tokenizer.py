"""Train a word-level tokenizer on a dataset's training split."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Train a word-level tokenizer on a dataset's training split."""
    from saeflow.world.tokenizer import train_tokenizer

    (task,) = tasks
    train_tokenizer(task.work, task.inputs["dataset"])


if __name__ == "__main__":
    run(main)
