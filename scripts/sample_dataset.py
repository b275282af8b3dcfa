"""Sample documents from a model."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Sample documents from a model."""
    from saeflow.datasets.sampled import sample_dataset

    (task,) = tasks
    sample_dataset(task.work, task.settings, task.inputs["model"], task.inputs["tokenizer"])


if __name__ == "__main__":
    run(main)
