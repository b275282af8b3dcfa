"""Results below a path, whether each is as it was written, and how what is damaged is removed.

A result is bulk, or the record of a table or a figure with the files beside it. The record of bulk
is looked at with it. Read `find_results` and `damages`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from saeflow.cli.bulk import (
    REMOVED,
    UNFINISHED,
    commits,
    find_bulk,
    is_bulk,
    n_bytes,
    named_by,
    record_of,
    state,
    walk,
)
from saeflow.errors import SaeflowError
from saeflow.files import read_object
from saeflow.inventory import (
    ALTERED,
    INVENTORY,
    LOST,
    MANIFEST,
    Damage,
    altered_files,
    confirm,
    hash_file,
    read_record,
)
from saeflow.locks import try_lock

WHOLE, DAMAGED = "whole", "damaged"


def find_results(target: Path) -> list[Path]:
    """Return bulk, and records, that a path means.

    Parameters
    ----------
    target
        A record, a file beside one, bulk (finished, unfinished or an archive) or a directory with
        some below it. With a record or bulk comes the bulk that it needs.
    """
    target = Path(target)
    if not target.exists() or (target.is_dir() and is_bulk(target)):
        return find_bulk(target)
    if target.is_dir():
        found = list(_below(target))
        if not found:
            raise SaeflowError(
                "there are no results here",
                where=target,
                expected="a result, or a directory with some below it",
            )
        return found
    record = _beside(target)
    facts = read_object(record)
    bulk = find_bulk(target) if target.name == MANIFEST or "bulk" in facts else []
    return [*bulk, record] if record.name != MANIFEST else bulk


def _below(directory: Path) -> Iterator[Path]:
    """Yield bulk and records below a directory."""
    for bulk, files in walk(directory):
        yield from bulk
        yield from filter(_is_record, files)


def _beside(file: Path) -> Path:
    """Return the record that lists a file; the file itself where it is a record."""
    record = file.with_suffix(".json")
    if file != record and file.name not in read_object(record).get("files", {}):
        raise SaeflowError(
            "no record lists this file",
            where=file,
            expected="a record (.json), a file of a table or a figure, or a directory of data",
        )
    return record


def _is_record(path: Path) -> bool:
    """Whether a file is a record, or was one before it was damaged."""
    if path.suffix != ".json" or path.name.startswith("."):
        return False
    content = read_object(path)
    return not content or "identity" in content


def size_of(result: Path) -> int:
    """Return the bytes of a result on disk; 0 for a record of bulk, which is a result itself."""
    if result.is_dir():
        return n_bytes(result)
    files = [result.with_name(name) for name in read_object(result).get("files", {})]
    return sum(file.stat().st_size for file in files if file.is_file())


def word_for(result: Path) -> str:
    """Return in what state a result is if nothing of it is damaged; "" for a record of bulk."""
    if not result.is_dir():
        return "" if "bulk" in read_object(result) else WHOLE
    found = state(result)
    return found if found in (UNFINISHED, REMOVED) else WHOLE


def damages(result: Path, read: Callable[[int], object]) -> Iterator[Damage]:
    """Yield what of a result is not as it was written; reads all of it.

    Of unfinished stores the committed shards count. ``read`` is told the number of bytes after each
    block that was read.
    """
    if result.is_dir() and state(result) == UNFINISHED:
        yield from _damaged_commits(result, read)
    elif result.is_dir() and state(result) == REMOVED:
        return
    elif result.is_dir() or "files" in read_object(result):
        found = list(altered_files(result, read))
        yield from found
        if not found:
            confirm(result)
    else:
        yield from _damaged_record(result)


def _damaged_record(record: Path) -> Iterator[Damage]:
    """Yield what is wrong with the record of bulk, of which the bulk holds a copy."""
    facts = read_record(record)
    if "bulk" not in facts:
        yield Damage(record, ALTERED if record.is_file() else LOST)
        return
    bulk = named_by(record, facts)
    if not bulk.is_dir():
        yield Damage(record, "the data that it names are missing")
    elif (bulk / MANIFEST).is_file() and record.read_bytes() != (bulk / MANIFEST).read_bytes():
        yield Damage(record, "it differs from the manifest")


def _damaged_commits(bulk: Path, read: Callable[[int], object]) -> Iterator[Damage]:
    for commit in commits(bulk):
        path = bulk / commit["file"]
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            yield Damage(path, LOST)
        elif size != commit["bytes"]:
            yield Damage(path, f"{size} bytes instead of {commit['bytes']}")
        elif hash_file(path, read) != commit["xxh3_128"]:
            yield Damage(path, ALTERED)


def is_made_anew(result: Path) -> bool:
    """Whether the workflow makes a result again that is gone: not so an archive."""
    return not result.is_dir() or record_of(result) is not None


def discard(result: Path, damaged: list[Damage]) -> bool:
    """Remove what is damaged of a result, so that the workflow redoes it; False where in use."""
    record = record_of(result) if result.is_dir() else result
    if record is None:
        raise SaeflowError(
            "no workflow makes an archive anew",
            where=result,
            remedy="Delete it and archive the store again.",
        )
    with try_lock(record) as free:
        if not free:
            return False
        for damage in damaged:
            damage.path.unlink(missing_ok=True)
        if any(damage.path == result / INVENTORY for damage in damaged):
            (result / MANIFEST).unlink(missing_ok=True)
    return True
