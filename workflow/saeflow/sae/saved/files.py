"""The names of the files that formats of SAEs read; no format is imported: planning asks, too."""

from __future__ import annotations

from saeflow import registry

FORMATS = "sae.formats"
AUTO = "auto"


def files_read(name: str) -> tuple[str, ...]:
    """Return what a format reads of a directory; "auto" is every format."""
    names = registry.names(FORMATS) if name == AUTO else [name]
    return tuple(
        dict.fromkeys(f for one in names for f in registry.literal(FORMATS, one, "FILES", ()))
    )
