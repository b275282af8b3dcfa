"""Store the activations of a hook, and of every other wanted hook, in one forward pass."""

from __future__ import annotations

from pathlib import Path

from saeflow.script import Task, run


def main(*, tasks: list[Task], model: Path, tokens: Path) -> None:
    """Harvest the hooks of all ``tasks`` together."""
    from saeflow.activations.harvest import harvest

    harvest(tasks, model, tokens)


if __name__ == "__main__":
    run(main)
