"""Train a small language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import run
from saeflow.work import Work


def main(*, work: Work, settings: dict[str, Any], tokens: Path, tokenizer: Path) -> None:
    """Train on the training split of ``tokens``, resuming where an earlier run was."""
    from saeflow.models.train_lm import train_lm

    train_lm(work, tokens, tokenizer, settings)


if __name__ == "__main__":
    run(main)
