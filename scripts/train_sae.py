"""Train an SAE, and every other wanted SAE of its hook, over one reading of the store."""

from __future__ import annotations

from pathlib import Path

from saeflow.script import Task, run


def main(*, tasks: list[Task], activations: Path, target: Path | None = None) -> None:
    """Train the SAEs of all ``tasks``."""
    from saeflow.sae.training.sweep import train_sweep

    works = [(task.work, task.settings) for task in tasks]
    train_sweep(works, activations, target_record=target)


if __name__ == "__main__":
    run(main)
