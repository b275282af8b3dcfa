"""One foreign format per module, loaded by name (`registry.load`); see `saved/foreign.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_imported(entry: Mapping[str, Any]) -> bool:
    """Whether an entry under ``saes`` names files and not a recipe."""
    return "path" in entry or "hub" in entry
