"""Cut a dataset into sequences of tokens."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Cut a dataset into sequences of tokens."""
    from saeflow.tokens.tokenize import tokenize_dataset

    (task,) = tasks
    inputs = task.inputs
    tokenize_dataset(task.work, inputs["dataset"], inputs["tokenizer"], task.settings)


if __name__ == "__main__":
    run(main)
