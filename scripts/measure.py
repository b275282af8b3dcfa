"""Add up what a measure needs, of SAEs of one hook or of a language model."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Add up what a measure needs, of SAEs of one hook or of a language model."""
    from saeflow.metrics.registry import MEASURES
    from saeflow.registry import function

    measure = MEASURES[tasks[0].settings["measure"]]
    function(measure.compute)(tasks)


if __name__ == "__main__":
    run(main)
