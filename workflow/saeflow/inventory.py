"""What every result consists of: size and hash of each file, by which damage is noticed.

Whenever the workflow is planned sizes are compared, and the content of what was written to after
it was recorded; ``saeflow verify`` reads everything. A record holds the hashes of its files, or
that of the inventory which lists them, and its own checksum: so it vouches for every byte. Read
`damage_of`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.errors import DamagedError
from saeflow.files import canonical_json, read_json, sha256_file, sha256_text, write_json

INVENTORY = "files.json"
MANIFEST = "manifest.json"
CHECKSUM = "checksum"
"""The key under which a record holds the hash of all else that it says."""

ALTERED = "its content was altered"
LOST = "missing"

# What is larger is not read while the workflow is planned, whatever its time says.
_READ_BYTES = 1 << 26

# Blocks stay within a core's cache between the copy from the system and the hash.
_BLOCK_BYTES = 1 << 20


class Damage(NamedTuple):
    """A file that is not what was written.

    Attributes
    ----------
    path : Path
        The file.
    what : str
        What is wrong with it: `LOST`, `ALTERED`, "100 bytes instead of 200", ...
    """

    path: Path
    what: str


# -- records -----------------------------------------------------------------------------------


def with_checksum(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its checksum."""
    content = json.loads(canonical_json(_unmarked(record)))
    return {**content, CHECKSUM: sha256_text(canonical_json(content))}


def read_record(path: Path) -> dict[str, Any]:
    """Return a record or manifest, empty where there is none that is as it was written."""
    try:
        record = json.loads(Path(path).read_bytes())
        whole = record[CHECKSUM] == sha256_text(canonical_json(_unmarked(record)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return record if whole else {}


def _unmarked(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != CHECKSUM}


def described(file: Path) -> dict[str, Any]:
    """Return what a record says of a file that is complete: its bytes and its hash."""
    return {"bytes": file.stat().st_size, "xxh3_128": hash_file(file)}


def damage_of(file: Path, facts: Mapping[str, Any], since: int) -> Damage | None:
    """Return what is wrong with a file, as far as a look at it tells; None where nothing is.

    Parameters
    ----------
    file
        Where it should be.
    facts
        As `described` gave them.
    since
        When it was recorded (st_mtime_ns of what records it): a file with a later time is read,
        unless it is large.
    """
    try:
        status = file.stat()
    except OSError:
        return Damage(file, LOST)
    if status.st_size != facts["bytes"]:
        return Damage(file, f"{status.st_size} bytes instead of {facts['bytes']}")
    written_to = status.st_mtime_ns > since and status.st_size <= _READ_BYTES
    if written_to and hash_file(file) != facts["xxh3_128"]:
        return Damage(file, ALTERED)
    return None


def damaged_files(record: Path) -> Iterator[Damage]:
    """Yield what is wrong with the record of a table or a figure, and with the files beside it."""
    record = Path(record)
    try:
        since, listed = record.stat().st_mtime_ns, read_record(record)["files"]
    except OSError:
        yield Damage(record, LOST)
        return
    except KeyError:
        yield Damage(record, ALTERED)
        return
    found = (damage_of(record.with_name(name), facts, since) for name, facts in listed.items())
    yield from filter(None, found)


# -- bulk --------------------------------------------------------------------------------------


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
        hashed = known.get(name)
        size = file.stat().st_size
        files[name] = {"bytes": size, "xxh3_128": hashed} if hashed else described(file)
    write_json(directory / INVENTORY, files)
    return sha256_file(directory / INVENTORY)


def read_inventory(directory: Path) -> dict[str, dict[str, Any]]:
    """Return bytes and hash by relative path; a `DamagedError` where it is missing or torn."""
    return read_json(Path(directory) / INVENTORY)


def lost_files(bulk: Path) -> Iterator[Damage]:
    """Yield what is wrong with finished bulk as far as a look at its files tells (`damage_of`).

    Parameters
    ----------
    bulk
        A directory that `saeflow.work.Work.finish` made. Bulk that it needs beside it, which its
        manifest names, is looked at too.
    """
    bulk = Path(bulk)
    manifest = read_record(bulk / MANIFEST)
    if "inventory" not in manifest:
        there = (bulk / MANIFEST).is_file()
        yield Damage(bulk / MANIFEST, "not a manifest as it was written" if there else LOST)
        return
    yield from _lost_inventory(bulk, manifest["inventory"])
    for name in manifest.get("needs", ()):
        yield from lost_files(bulk.parent / name)


def _lost_inventory(bulk: Path, expected: str) -> Iterator[Damage]:
    path = bulk / INVENTORY
    try:
        since = (bulk / MANIFEST).stat().st_mtime_ns
        if sha256_file(path) != expected:
            yield Damage(path, ALTERED)
            return
    except OSError:
        yield Damage(path, LOST)
        return
    found = (damage_of(bulk / name, facts, since) for name, facts in read_inventory(bulk).items())
    yield from filter(None, found)


def is_whole(bulk: Path) -> bool:
    """Whether bulk was finished and nothing of it is damaged, as far as a look at it tells."""
    return next(lost_files(bulk), None) is None


def altered_files(
    result: Path, read: Callable[[int], object] = lambda _n: None
) -> Iterator[Damage]:
    """Yield every file of a result that is not what was written; reads all of it.

    Parameters
    ----------
    result
        Finished bulk, or the record of a table or a figure; bulk that it needs is not looked at.
    read
        Told the number of bytes after each block that was read.
    """
    result = Path(result)
    bulk = result.is_dir()
    place = result if bulk else result.parent
    found = lost_files(result) if bulk else damaged_files(result)
    lost = {damage.path: damage for damage in found if place in damage.path.parents}
    yield from lost.values()
    if {result, place / MANIFEST, place / INVENTORY} & lost.keys():
        return
    for name, facts in (read_inventory(result) if bulk else read_record(result)["files"]).items():
        path = place / name
        if path not in lost and hash_file(path, read) != facts["xxh3_128"]:
            yield Damage(path, ALTERED)


def confirm(result: Path) -> None:
    """Note that a result was found whole: its files need not be read again for their times' sake.

    Parameters
    ----------
    result
        As for `altered_files`.
    """
    result = Path(result)
    bulk = result.is_dir()
    record, place = (result / MANIFEST, result) if bulk else (result, result.parent)
    names = read_inventory(result) if bulk else read_record(result)["files"]
    latest = max(((place / name).stat().st_mtime_ns for name in names), default=0)
    if latest > record.stat().st_mtime_ns:
        with suppress(OSError):  # of another user, or on a disk that cannot be written to
            os.utime(record)


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
            if damage.what == LOST
            else "a file is not as it was written",
            where=damage.path,
            got=None if damage.what == LOST else damage.what,
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
