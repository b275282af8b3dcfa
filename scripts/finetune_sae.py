"""Fine-tune an SAE without its sparsity penalty, and others of its hook in the same pass."""

from __future__ import annotations

from pathlib import Path

from saeflow.script import Task, run


def main(
    *,
    tasks: list[Task],
    activations: Path,
    model: Path | None = None,
    tokens: Path | None = None,
) -> None:
    """Fine-tune the SAEs of all ``tasks``; with the model in the loop where it is an input."""
    from saeflow.finetune.sweep import finetune_sweep

    inputs = {} if model is None else {"model": model, "tokens": tokens}
    works = [(task.work, task.settings, task.inputs["parent"]) for task in tasks]
    finetune_sweep(works, activations, **inputs)


if __name__ == "__main__":
    run(main)
