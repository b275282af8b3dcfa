"""What lies under results/ and belongs to no identity that a configuration wants.

`find_garbage` lists it, `remove` deletes one piece. Finished results without bulk, such as
figures and tables, are never garbage: they are small, and someone may look at them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from saeflow import paths
from saeflow.cli.bulk import n_bytes
from saeflow.cli.study import BULK
from saeflow.files import read_object
from saeflow.locks import lock_path, try_lock
from saeflow.plan.current import HARVEST, recorded_identity
from saeflow.plan.made import recall
from saeflow.plan.result import Result
from saeflow.readers import try_lock_unread
from saeflow.work import IDENTITY_CHARACTERS, MANIFEST, RELEASED, bulk_path

_TEMPORARY = "temporary file"
_TEMPORARY_NAME = re.compile(r"\.(?P<name>.+)\.(?P<process>[0-9]+)\.tmp")


class Garbage(NamedTuple):
    """One thing that nothing wants.

    Attributes
    ----------
    path : Path
        A directory of bulk, or a small file.
    kind : str
        "earlier data", "latest data" (the last that was made there, but stale), "unfinished
        data", "temporary file", "plan", "receipt", "description", "note" (why something could not
        be made) or "log".
    n_bytes : int
        What removing it frees.
    record : Path or None
        The record whose lock guards it; None for a file that no job writes to.
    """

    path: Path
    kind: str
    n_bytes: int
    record: Path | None = None


def find_garbage(wanted: Collection[Result]) -> list[Garbage]:
    """Return everything below results/ that none of the results ``wanted`` needs.

    These are all results of every configuration that uses this directory.
    """
    places = list(_places())
    bulk = sorted(_bulk(wanted, places), key=lambda piece: piece.path)
    gone = {piece.path for piece in bulk}
    noted = {paths.failure_file(result.output, result.identity) for result in wanted}
    small = (
        *_of_passes(wanted),
        *_descriptions(wanted, places, gone),
        *_files(paths.FAILED, noted, "note"),
    )
    return [*bulk, *_temporary_files(places), *small]


def is_busy(piece: Garbage) -> bool:
    """Whether a running process holds the place of a piece of garbage."""
    if piece.record is None:
        return False
    try:
        with _lock(piece) as free:
            return not free
    except OSError:  # of another user, or on a disk that is not written to
        return False


def remove(piece: Garbage) -> bool:
    """Remove a piece of garbage, and the record that names it; False where it is in use."""
    if piece.record is None:
        piece.path.unlink(missing_ok=True)
        _prune(piece.path.parent)
        return True
    with _lock(piece) as free:
        if not free:
            return False
        if piece.kind == _TEMPORARY:
            piece.path.unlink(missing_ok=True)
            return True
        identity = BULK.fullmatch(piece.path.name)["identity"]
        if (recorded_identity(piece.record) or "").startswith(identity):
            piece.record.unlink()
            # what tells that a temporary store was removed goes with it
            piece.record.with_name(f"{piece.record.stem}.released.json").unlink(missing_ok=True)
        _remove_tree(piece.path)
    return True


def _lock(piece: Garbage) -> AbstractContextManager[bool]:
    """Take the lock of a piece's place; a store must also have no reader."""
    return (try_lock_unread if ".zarr" in piece.path.name else try_lock)(piece.record)


def _remove_tree(directory: Path) -> None:
    """Delete a directory under another name: half deleted, it must not look finished."""
    if directory.is_symlink():
        directory.unlink()
        return
    doomed = directory
    if not directory.name.endswith(".removed"):
        doomed = directory.with_name(f"{directory.name.removesuffix('.partial')}.removed")
        shutil.rmtree(doomed, ignore_errors=True)
        directory.replace(doomed)
    shutil.rmtree(doomed)


def _prune(directory: Path) -> None:
    """Remove a directory and those above it while they are empty."""
    while directory != Path(paths.RESULTS) and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent


def _bulk(wanted: Collection[Result], places: Collection[_Place]) -> Iterator[Garbage]:
    kept = {
        name
        for final in _final_paths(wanted)
        for name in (final, final.with_name(f"{final.name}.partial"))
    }
    for place in places:
        for directory, match in place.bulk.items():
            if directory not in kept:
                record = directory.parent / f"{match['stem']}.json"
                kind = _kind(match, record)
                yield Garbage(directory, kind, n_bytes(directory), record)


def _kind(match: re.Match[str], record: Path) -> str:
    if match["state"]:
        return "unfinished data"
    latest = (recorded_identity(record) or "").startswith(match["identity"])
    return "latest data" if latest else "earlier data"


def _temporary_files(places: Collection[_Place]) -> Iterator[Garbage]:
    """Yield what processes left that were killed while they wrote a small file."""
    for path in sorted(path for place in places for path in place.files):
        if (named := _TEMPORARY_NAME.fullmatch(path.name)) and not _is_being_written(path):
            record = path.with_name(named["name"])
            guard = record if lock_path(record).exists() else None
            yield Garbage(path, _TEMPORARY, path.stat().st_size, guard)


def _is_being_written(path: Path) -> bool:
    """Whether a temporary file's process still runs; one of another machine may have its number."""
    named = _TEMPORARY_NAME.fullmatch(path.name)
    return bool(named) and Path("/proc", named["process"]).exists()


class _Place(NamedTuple):
    """A directory of results: the bulk in it, and its small files."""

    bulk: dict[Path, re.Match[str]]
    files: list[Path]


def _places() -> Iterator[_Place]:
    """Yield the directories of results; never what lies inside bulk, nor hidden ones."""
    seen = set()
    for root, names, files in os.walk(paths.RESULTS, followlinks=True):
        directory = Path(root)
        seen.add(directory.resolve())
        matches = {directory / name: BULK.fullmatch(name) for name in names}
        bulk = {path: match for path, match in matches.items() if match}
        yield _Place(bulk, [directory / name for name in files])
        # A big disk may be linked in; a link to what was seen would never end.
        names[:] = sorted(
            path.name
            for path in matches
            if path not in bulk
            and not path.name.startswith(".")
            and path != Path(paths.LOGS)
            and path.resolve() not in seen
        )


def _final_paths(wanted: Collection[Result]) -> Iterator[Path]:
    """Yield the bulk of what is wanted, and the row tables that lie beside wanted activations."""
    from saeflow.activations.rows import rows_identity

    for result in wanted:
        if result.suffix is not None:
            yield bulk_path(result.output, result.identity, result.suffix)
        if result.rule == HARVEST:
            tokens = result.inputs["tokens"]
            record = result.output.with_name("rows.json")
            yield bulk_path(record, rows_identity(tokens.identity), ".zarr")


def _of_passes(wanted: Collection[Result]) -> Iterator[Garbage]:
    """Yield plans, receipts and logs of passes that made nothing that is wanted now."""
    identities = {result.identity for result in wanted}
    kept: set[str] = set()
    for plan in sorted(Path(paths.PLANS).glob("*.json")):
        made = read_object(plan).get("results", [])
        if any(one["identity"] in identities for one in made):
            kept.add(plan.stem)
    kinds = {paths.PLANS: "plan", paths.RECEIPTS: "receipt", paths.LOGS: "log"}
    for directory, kind in kinds.items():
        yield from (one for one in _files(directory, (), kind) if one.path.stem not in kept)


def _descriptions(
    wanted: Collection[Result], places: Collection[_Place], gone: Collection[Path]
) -> Iterator[Garbage]:
    """Yield descriptions of what is no longer there, nor led to anything that is."""
    queue = [(result.output, result.identity) for result in wanted]
    for place in places:
        for record in place.files:
            identity = recorded_identity(record) if record.suffix == ".json" else None
            if identity and not any(_names(record, identity, path) for path in gone):
                queue.append((record, identity))
        for directory, match in place.bulk.items():
            names = (MANIFEST, RELEASED)
            identity = next(filter(None, (recorded_identity(directory / n) for n in names)), None)
            if identity and directory not in gone:
                queue.append((directory.parent / f"{match['stem']}.json", identity))
    kept: set[Path] = {paths.code_file(result.code) for result in wanted}
    while queue:
        record, identity = queue.pop()
        path = paths.made_file(record, identity)
        if path in kept:
            continue
        kept |= {path, paths.code_file(str(read_object(path).get("code")))}
        was = recall(record, identity)
        for inputs in was["inputs"].values() if was else ():
            for one in inputs if isinstance(inputs, list) else [inputs]:
                queue.append((Path(one["record"]), one["identity"]))
    yield from _files(paths.MADE, kept, "description")


def _names(record: Path, identity: str, bulk: Path) -> bool:
    start = f"{record.stem}.{identity[:IDENTITY_CHARACTERS]}"
    return bulk.parent == record.parent and bulk.name.startswith(start)


def _files(directory: str, kept: Collection[Path], kind: str) -> Iterator[Garbage]:
    for path in sorted(Path(directory).rglob("*")):
        if path.is_file() and path not in kept and not _is_being_written(path):
            yield Garbage(path, kind, path.stat().st_size)
