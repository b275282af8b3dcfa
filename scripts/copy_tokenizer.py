"""Take the tokenizer that a model brings."""

from __future__ import annotations

from pathlib import Path

from saeflow.script import run
from saeflow.work import Work, bulk_of


def main(*, work: Work, model: Path) -> None:
    """Copy the tokenizer's files out of the model's directory."""
    from saeflow.tokenizers import publish_tokenizer

    publish_tokenizer(work, bulk_of(model))


if __name__ == "__main__":
    run(main)
