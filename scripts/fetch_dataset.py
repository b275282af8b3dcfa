"""Fetch a dataset from the hub, or read a local file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import run
from saeflow.work import Work


def main(*, work: Work, settings: dict[str, Any], path: str | None = None) -> None:
    """Write the documents; ``path`` is where a local file lies."""
    from saeflow.datasets.prepare import prepare_dataset

    prepare_dataset(work, settings, path=path and Path(path))


if __name__ == "__main__":
    run(main, network=True)
