"""Fetch prompts from the hub, read local files, or generate them."""

from __future__ import annotations

from saeflow.script import run
from saeflow.task import Task


def main(*, tasks: list[Task]) -> None:
    """Fetch prompts from the hub, read local files, or generate them."""
    from saeflow.prompts.prepare import prepare_prompts

    (task,) = tasks
    path, dataset = task.arguments.get("path"), task.inputs.get("dataset")
    prepare_prompts(task.work, task.settings, path=path, dataset=dataset)


if __name__ == "__main__":
    run(main, network=True)
