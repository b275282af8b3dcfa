"""Remove the rows of a temporary store, whose readers are all done."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Remove the rows of a temporary store, whose readers are all done."""
    from saeflow.activations.release import release_stores

    release_stores(tasks)


if __name__ == "__main__":
    run(main)
