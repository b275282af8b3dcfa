"""Take the tokenizer that a model brings."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Take the tokenizer that a model brings."""
    from saeflow.tokenizers import publish_tokenizer
    from saeflow.work import bulk_of

    (task,) = tasks
    publish_tokenizer(task.work, bulk_of(task.inputs["model"]))


if __name__ == "__main__":
    run(main)
