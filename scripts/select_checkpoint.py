"""Make a model of one checkpoint of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import run
from saeflow.work import Work


def main(*, work: Work, settings: dict[str, Any], model: Path) -> None:
    """Copy the checkpoint of ``settings["step"]`` out of the trained model's bulk."""
    from saeflow.models.checkpoints import select_checkpoint

    select_checkpoint(work, model, settings["step"])


if __name__ == "__main__":
    run(main)
