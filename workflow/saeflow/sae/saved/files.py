"""The files of an SAE from elsewhere that count: those that its format reads.

Nothing is read of them here, nor are formats imported: planning asks, too.
"""

from __future__ import annotations

from pathlib import Path

from saeflow import registry
from saeflow.errors import ConfigError

FORMATS = "sae.formats"
AUTO = "auto"
_SHOWN = 8


def files_read(name: str) -> tuple[str, ...]:
    """Return what a format reads of a directory; "auto" is every format."""
    names = registry.names(FORMATS) if name == AUTO else [name]
    return tuple(
        dict.fromkeys(f for one in names for f in registry.literal(FORMATS, one, "FILES", ()))
    )


def sae_files(place: Path, name: str, *, where: object) -> dict[str, Path]:
    """Return the files at a path that count, by their names in it.

    Parameters
    ----------
    place
        A file, or a directory: what a training or a download leaves beside an SAE does not count.
    name
        A module of `saeflow.sae.formats`, or "auto".
    where
        The configuration key that names the path, for messages.
    """
    if place.is_file():
        beside = place.with_name(f"{place.stem}_cfg.json")  # Neel Nanda's configurations lie there
        return {"": place} | ({"beside": beside} if beside.is_file() else {})
    wanted = files_read(name)
    found = {file: place / file for file in wanted if (place / file).is_file()}
    if not found:
        there = sorted(file.name for file in place.iterdir())
        raise ConfigError(
            "there is no SAE in this directory",
            where=where,
            expected=f"some of {', '.join(wanted)}" if wanted else "the format's only file",
            got=f"{place} with {', '.join(there[:_SHOWN]) or 'nothing'}",
            remedy="Give the directory with the files, or the file itself.",
        )
    return found
