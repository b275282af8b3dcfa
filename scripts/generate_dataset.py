"""Generate the built-in world."""

from __future__ import annotations

from typing import Any

from saeflow.script import run
from saeflow.work import Work


def main(*, work: Work, settings: dict[str, Any]) -> None:
    """Write documents with the truth about every word, and the prompt sets."""
    from saeflow.world.dataset import write_dataset

    write_dataset(work, settings)


if __name__ == "__main__":
    run(main)
