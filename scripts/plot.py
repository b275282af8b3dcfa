"""Draw figures of a study."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Draw figures of a study."""
    from saeflow.figures.making import make_figures

    make_figures(tasks)


if __name__ == "__main__":
    run(main)
