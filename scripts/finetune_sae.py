"""Fine-tune an SAE without its sparsity penalty, and others of its hook in the same pass."""

from __future__ import annotations

from pathlib import Path

from saeflow.script import Task, run


def main(*, tasks: list[Task], activations: Path) -> None:
    """Fine-tune the SAEs of all ``tasks``."""
    from saeflow.finetune.sweep import finetune_sweep

    finetune_sweep(
        [(task.work, task.settings, task.inputs["parent"]) for task in tasks], activations
    )


if __name__ == "__main__":
    run(main)
