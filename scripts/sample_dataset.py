"""Sample documents from a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import run
from saeflow.work import Work


def main(*, work: Work, settings: dict[str, Any], model: Path, tokenizer: Path) -> None:
    """Write documents that the model made up."""
    from saeflow.datasets.sampled import sample_dataset

    sample_dataset(work, settings, model, tokenizer)


if __name__ == "__main__":
    run(main)
