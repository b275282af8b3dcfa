"""Store the activations of every wanted hook, in one forward pass."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task], part: tuple[int, int] | None = None) -> None:
    """Store the activations of every wanted hook, in one forward pass."""
    from saeflow.activations.harvest import harvest

    harvest(tasks, part)


if __name__ == "__main__":
    run(main)
