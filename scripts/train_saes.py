"""Train SAEs of one hook, in one pass over its activations."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Train SAEs of one hook, in one pass over its activations."""
    from saeflow.sae.training.sweep import train_sweep

    train_sweep(tasks)


if __name__ == "__main__":
    run(main)
