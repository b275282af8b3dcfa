"""Where the commit record of a shard lies, and which shards are a part of a harvest.

The planner asks for both, so nothing is imported.
"""

from __future__ import annotations

from pathlib import Path

COMMITS = "_commit"
"""The directory of commit records in a store."""


def commit_path(store: Path, shard: int) -> Path:
    """Return the file whose presence says that a shard was written and flushed."""
    return store / COMMITS / f"{shard:06d}.json"


def shards_of(part: int, of: int, n_shards: int) -> range:
    """Return the shards of a part (from 1): contiguous, and all parts together each once."""
    return range(n_shards * (part - 1) // of, n_shards * part // of)
