"""Cut a dataset into sequences of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import run
from saeflow.work import Work


def main(*, work: Work, settings: dict[str, Any], dataset: Path, tokenizer: Path) -> None:
    """Write the token store of one packing."""
    from saeflow.tokens.tokenize import tokenize_dataset

    tokenize_dataset(work, dataset, tokenizer, settings)


if __name__ == "__main__":
    run(main)
