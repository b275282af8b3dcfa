"""Generate the built-in world: documents with the truth about every word, and prompt sets."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Generate the built-in world: documents with the truth about every word, and prompt sets."""
    from saeflow.world.dataset import write_dataset

    (task,) = tasks
    write_dataset(task.work, task.settings)


if __name__ == "__main__":
    run(main)
