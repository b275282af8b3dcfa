"""Directories of bulk below a path, and what state each is in. `find_bulk` finds them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from saeflow.cli.study import BULK
from saeflow.errors import DamagedError, SaeflowError
from saeflow.files import read_json
from saeflow.inventory import INVENTORY, MANIFEST
from saeflow.work import RELEASED

COMMITS = "_commit"
FINISHED, UNFINISHED, REMOVED = "finished", "unfinished", "removed"


def find_bulk(target: Path) -> list[Path]:
    """Return the directories of bulk that a path means.

    Parameters
    ----------
    target
        A record, bulk (finished, unfinished or an archive), or a directory with some below it.
        With a record or bulk comes the bulk that it needs.
    """
    if target.is_file():
        return _with_needed(_of_record(target))
    if not target.is_dir():
        raise SaeflowError(
            "there is no such file or directory",
            where=target,
            expected="a path from the working directory, as `saeflow plan` lists them",
        )
    if is_bulk(target):
        return _with_needed(target)
    found = [bulk for here, _ in walk(target) for bulk in here]
    if not found:
        raise SaeflowError(
            "there are no data here",
            where=target,
            expected="a record (.json), the directory that it names, or one with some below it",
        )
    return found


def walk(directory: Path) -> Iterator[tuple[list[Path], list[Path]]]:
    """Yield the bulk and the files in each directory below one: not in bulk, nor what is hidden."""
    for root, names, files in os.walk(directory, followlinks=True):
        here = Path(root)
        bulk = [here / name for name in sorted(names) if is_bulk(here / name)]
        yield bulk, [here / name for name in sorted(files)]
        names[:] = sorted(n for n in names if here / n not in bulk and not n.startswith("."))


def _of_record(record: Path) -> Path:
    if record.name == MANIFEST:
        return record.parent
    facts = read_json(record)
    if not isinstance(facts, dict) or "bulk" not in facts:
        raise SaeflowError("this is no record of data", where=record, expected='a key "bulk"')
    return named_by(record, facts)


def named_by(record: Path, facts: Mapping[str, Any]) -> Path:
    """Return the bulk that a record names, or the work on it where that is all there is."""
    bulk = record.parent / facts["bulk"]
    partial = bulk.with_name(f"{bulk.name}.partial")
    return partial if partial.is_dir() and not bulk.is_dir() else bulk


def is_bulk(path: Path) -> bool:
    """Whether a directory is bulk by its name, or an archive."""
    named = BULK.fullmatch(path.name)
    if named and named["state"] == ".removed":
        return False
    return bool(named) or ((path / MANIFEST).is_file() and (path / INVENTORY).is_file())


def _with_needed(bulk: Path) -> list[Path]:
    try:
        needs = read_json(bulk / MANIFEST).get("needs", ())
    except DamagedError:
        needs = ()
    return [bulk, *(bulk.parent / name for name in needs)]


def state(bulk: Path) -> str:
    """Return whether bulk is finished (damaged or not), unfinished, or was removed on purpose."""
    if bulk.name.endswith(".partial"):
        return UNFINISHED
    removed = (bulk / RELEASED).is_file() and not (bulk / MANIFEST).is_file()
    return REMOVED if removed else FINISHED


def n_bytes(bulk: Path) -> int:
    """Return the size of bulk on disk."""
    return sum(
        (Path(root) / name).lstat().st_size for root, _, names in os.walk(bulk) for name in names
    )


def record_of(bulk: Path) -> Path | None:
    """Return the record beside bulk that names it; None for an archive."""
    named = BULK.fullmatch(bulk.name)
    return bulk.parent / f"{named['stem']}.json" if named else None


def commits(bulk: Path) -> list[dict]:
    """Return the readable commit records of an unfinished store, in the order of the shards."""
    found = []
    for path in sorted((bulk / COMMITS).glob("[0-9]*.json")):
        try:
            found.append({**read_json(path), "record": path})
        except DamagedError:
            continue
    return found
