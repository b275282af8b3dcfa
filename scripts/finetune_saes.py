"""Fine-tune SAEs of one hook without their sparsity penalty."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Fine-tune SAEs of one hook without their sparsity penalty."""
    from saeflow.finetune.sweep import finetune_sweep

    finetune_sweep(tasks)


if __name__ == "__main__":
    run(main)
