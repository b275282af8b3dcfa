"""Make tables of a study."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Make tables of a study."""
    from saeflow.tables.making import make_tables

    make_tables(tasks)


if __name__ == "__main__":
    run(main)
