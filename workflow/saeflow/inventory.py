"""The inventory of finished bulk: size and hash of each file, by which damage is noticed.

Sizes are compared whenever the workflow is planned, hashes by ``saeflow verify``. The manifest
holds the inventory's own hash, so the small record vouches for every byte. Read `lost_files`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.errors import DamagedError
from saeflow.files import read_json, sha256_file, write_json

INVENTORY = "files.json"
MANIFEST = "manifest.json"

# Blocks stay within a core's cache between the copy from the system and the hash.
_BLOCK_BYTES = 1 << 20


class Damage(NamedTuple):
    """A file that is not what was written.

    Attributes
    ----------
    path : Path
        The file.
    what : str
        What is wrong with it: "missing", "100 bytes instead of 200", "its content was altered".
    """

    path: Path
    what: str


def write_inventory(directory: Path, known: Mapping[str, str] | None = None) -> str:
    """Write the inventory of a directory and return the hash that its manifest must hold.

    Parameters
    ----------
    directory
        Its files are complete; the manifest is left out.
    known
        Hashes that were taken while files were written, by relative path; the others are read.
    """
    directory, known = Path(directory), known or {}
    files = {}
    for file in _files(directory):
        name = file.relative_to(directory).as_posix()
        digest = known.get(name) or hash_file(file)
        files[name] = {"bytes": file.stat().st_size, "xxh3_128": digest}
    write_json(directory / INVENTORY, files)
    return sha256_file(directory / INVENTORY)


def read_inventory(directory: Path) -> dict[str, dict[str, Any]]:
    """Return bytes and hash by relative path; a `DamagedError` where it is missing or torn."""
    return read_json(Path(directory) / INVENTORY)


def lost_files(bulk: Path) -> Iterator[Damage]:
    """Yield what is missing from finished bulk or has another size; nothing is read but JSON.

    Parameters
    ----------
    bulk
        A directory that `saeflow.work.Work.finish` made. Bulk that it needs beside it, which its
        manifest names, is looked at too.
    """
    bulk = Path(bulk)
    try:
        manifest = json.loads((bulk / MANIFEST).read_bytes())
        expected = manifest["inventory"]
    except FileNotFoundError:
        yield Damage(bulk / MANIFEST, "missing")
        return
    except (OSError, ValueError, KeyError, TypeError):
        yield Damage(bulk / MANIFEST, "not a readable manifest")
        return
    yield from _lost_inventory(bulk, expected)
    for name in manifest.get("needs", ()):
        yield from lost_files(bulk.parent / name)


def _lost_inventory(bulk: Path, expected: str) -> Iterator[Damage]:
    path = bulk / INVENTORY
    try:
        if sha256_file(path) != expected:
            yield Damage(path, "its content was altered")
            return
    except OSError:
        yield Damage(path, "missing")
        return
    for name, facts in read_inventory(bulk).items():
        try:
            size = (bulk / name).stat().st_size
        except OSError:
            yield Damage(bulk / name, "missing")
            continue
        if size != facts["bytes"]:
            yield Damage(bulk / name, f"{size} bytes instead of {facts['bytes']}")


def is_whole(bulk: Path) -> bool:
    """Whether bulk was finished and each of its files is there in its size."""
    return next(lost_files(bulk), None) is None


def altered_files(bulk: Path, read: Callable[[int], object] = lambda _n: None) -> Iterator[Damage]:
    """Yield every file of finished bulk that is not what was written; reads all of it.

    Parameters
    ----------
    bulk
        As for `lost_files`; other bulk is not looked at.
    read
        Told the number of bytes after each block that was read.
    """
    lost = {damage.path: damage for damage in lost_files(bulk) if bulk in damage.path.parents}
    yield from lost.values()
    if bulk / MANIFEST in lost or bulk / INVENTORY in lost:
        return
    for name, facts in read_inventory(bulk).items():
        path = bulk / name
        if path not in lost and hash_file(path, read) != facts["xxh3_128"]:
            yield Damage(path, "its content was altered")


def hash_file(path: Path, read: Callable[[int], object] = lambda _n: None) -> str:
    """Return the xxh3_128 of a file's content, in hexadecimal."""
    import xxhash  # not at the top: planning compares sizes only

    digest, buffer = xxhash.xxh3_128(), memoryview(bytearray(_BLOCK_BYTES))
    with Path(path).open("rb", buffering=0) as content:
        while size := content.readinto(buffer):
            digest.update(buffer[:size])
            read(size)
    return digest.hexdigest()


def check_whole(bulk: Path) -> None:
    """Raise a `DamagedError` that names the first file that `lost_files` finds."""
    damage = next(lost_files(bulk), None)
    if damage is not None:
        raise DamagedError(
            f"a file that belongs here is {damage.what}"
            if damage.what == "missing"
            else "a file is not as it was written",
            where=damage.path,
            got=None if damage.what == "missing" else damage.what,
            remedy=REPAIR,
        )


REPAIR = "Run the workflow again: it redoes what is damaged and nothing else."
"""What to do about a file that is missing or has another size."""

DISCARD = "`saeflow verify --discard` on it, and the workflow, redo what is damaged only."
"""What to do about altered content, which only hashes show."""


def _files(directory: Path) -> list[Path]:
    return sorted(
        file
        for file in directory.rglob("*")
        if file.is_file() and file not in (directory / MANIFEST, directory / INVENTORY)
    )
