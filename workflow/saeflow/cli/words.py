"""How the command line says sizes, counts and values."""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import Any

from saeflow.files import canonical_json

_HASH = re.compile(r"[0-9a-f]{40,64}")
_LONGEST = 60


def size(n_bytes: float) -> str:
    """Return a number of bytes with a unit: "3.2 GiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} B" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TiB"


def count(n: int, noun: str) -> str:
    """Return a number with its noun, in the plural where there is not one."""
    if n == 1:
        return f"1 {noun}"
    return f"{n} {noun.removesuffix('y')}ies" if noun.endswith("ry") else f"{n} {noun}s"


def more(things: Sized) -> str:
    """Return " and 3 more" for what goes with the first of four things."""
    return f" and {len(things) - 1} more" if len(things) > 1 else ""


def value(thing: Any) -> str:
    """Return a setting's value on one short line; of a hash, only its beginning."""
    if isinstance(thing, str) and _HASH.fullmatch(thing):
        return f"{thing[:12]}..."
    text = canonical_json(thing)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
