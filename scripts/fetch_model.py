"""Fetch a model from the hub, or copy a local one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import run
from saeflow.work import Work


def main(*, work: Work, settings: dict[str, Any], path: str | None = None) -> None:
    """Write a Hugging Face directory; ``path`` is where a local model lies."""
    from saeflow.models.fetch import fetch_model

    fetch_model(work, settings, path=path and Path(path))


if __name__ == "__main__":
    run(main, network=True)
