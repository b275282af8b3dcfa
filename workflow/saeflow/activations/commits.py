"""Where the commit record of a shard lies; the planner looks for it too, so nothing is imported."""

from __future__ import annotations

from pathlib import Path

COMMITS = "_commit"
"""The directory of commit records in a store."""


def commit_path(store: Path, shard: int) -> Path:
    """Return the file whose presence says that a shard was written and flushed."""
    return store / COMMITS / f"{shard:06d}.json"
