"""Build the report from every study's figures and tables."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Build the report from every study's figures and tables."""
    from saeflow.report.build import make_report

    make_report(tasks)


if __name__ == "__main__":
    run(main)
