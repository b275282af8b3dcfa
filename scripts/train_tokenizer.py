"""Train a word-level tokenizer on a dataset's training split."""

from __future__ import annotations

from pathlib import Path

from saeflow.script import run
from saeflow.work import Work


def main(*, work: Work, dataset: Path) -> None:
    """Write a directory that `AutoTokenizer` loads."""
    from saeflow.world.tokenizer import train_tokenizer

    train_tokenizer(work, dataset)


if __name__ == "__main__":
    run(main)
