"""Train the toys of a study's theory."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Train the toys of a study's theory."""
    from saeflow.tables.making import make_simulation

    make_simulation(tasks)


if __name__ == "__main__":
    run(main)
