"""Work that survives being killed: one directory, one lock, one rename at the end.

Snakemake removes a job's declared outputs before a rerun and after a failure. So a long job
computes in a directory that Snakemake does not know, named by the job's identity, and declares
only a small record, which appears last. The directory keeps data *and* the state that describes
them, so that they live and die together. Read `hold` first.

    results/saes/.../sae.json                              the record, Snakemake's output
    results/saes/.../sae.0123456789abcdef/                 its bulk, finished
    results/saes/.../sae.0123456789abcdef.partial/         the same while it is being made
    results/saes/.../.sae.json.lock                        held while somebody works; never deleted

Bulk can be *released*: its data are removed, its manifest stays under another name.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from saeflow.errors import DamagedError, SaeflowError
from saeflow.files import fsync_dir, naming_full_disk, read_json, write_atomic, write_json
from saeflow.inventory import (
    ALTERED,
    MANIFEST,
    is_whole,
    lost_files,
    read_record,
    with_checksum,
    write_inventory,
)
from saeflow.locks import locked
from saeflow.logs import count_result

logger = logging.getLogger(__name__)

RELEASED = "released.json"
"""The name of the manifest of bulk whose data were removed after their last reader."""

IDENTITY_CHARACTERS = 16


def bulk_path(output: Path, identity: str, suffix: str = "") -> Path:
    """Return where the finished bulk of ``output`` under ``identity`` lies."""
    return output.parent / f"{output.stem}.{identity[:IDENTITY_CHARACTERS]}{suffix}"


def bulk_of(record: Path) -> Path:
    """Return the bulk directory that a published record, or the manifest inside the bulk, names.

    If the record or the directory is missing, that is a `DamagedError`.
    """
    record = Path(record)
    if record.name == MANIFEST:  # finished, not published yet: the bulk's own copy
        return record.parent
    bulk = record.parent / read_json(record)["bulk"]
    if (bulk / RELEASED).is_file() and not (bulk / MANIFEST).is_file():
        raise DamagedError(
            "the data were temporary and were removed after their last reader",
            where=bulk,
            remedy="Set activations.temporary to false to keep them, and run the workflow.",
        )
    if not (bulk / MANIFEST).is_file():
        raise DamagedError(
            "the data that this record names are missing or unfinished",
            where=record,
            expected=bulk / MANIFEST,
            remedy="Run the workflow again: it makes them anew.",
        )
    return bulk


def published(record: Path) -> Path:
    """Return the record that bulk is published by, given it or the manifest inside the bulk."""
    record = Path(record)
    if record.name != MANIFEST:
        return record
    identity = read_json(record)["identity"][:IDENTITY_CHARACTERS]
    return record.parent.with_name(f"{record.parent.name.partition(f'.{identity}')[0]}.json")


def released_at(output: Path, identity: str, suffix: str = "") -> int | None:
    """Return when released bulk had been made (st_mtime_ns); None for bulk that is not."""
    bulk = bulk_path(output, identity, suffix)
    if (bulk / MANIFEST).is_file():
        return None
    released = bulk / RELEASED
    return released.stat().st_mtime_ns if released.is_file() else None


class Work:
    """The place in which one job computes; get it from `hold`.

    Attributes
    ----------
    path : Path
        The directory to write to. It keeps what an earlier, killed run left there.
    output : Path
        The record that Snakemake knows.
    identity : str
        The job's identity; work under another identity lies in another directory.
    check : callable or None
        Asked before the work is finished: raises if it must not be, and it is thrown away.
    """

    check: Callable[[], None] | None = None

    def __init__(self, output: Path, identity: str, suffix: str) -> None:
        self.output, self.identity = Path(output), identity
        self.final = bulk_path(self.output, identity, suffix)
        self._partial = self.final.with_name(self.final.name + ".partial")
        self._mend_manifest()
        lost = list(lost_files(self.final))
        self._finished = not lost
        if lost:
            self._partial.mkdir(parents=True, exist_ok=True)
        if self.final.exists() and released_at(self.output, identity, suffix) is None:
            for damage in lost:
                logger.warning("%s: %s; it is made again", damage.path, damage.what)
                if damage.what == ALTERED and self.final in damage.path.parents:
                    damage.path.unlink()  # what is redone part by part keeps what has its size

    def _mend_manifest(self) -> None:
        """Put the manifest back from the record, which has the same content."""
        manifest = self.final / MANIFEST
        if not self.final.is_dir() or (self.final / RELEASED).exists() or read_record(manifest):
            return
        if read_record(self.output).get("identity") == self.identity:
            write_atomic(manifest, self.output.read_bytes())

    @property
    def finished(self) -> bool:
        """Whether this work was completed, by this run or an earlier one, and is whole."""
        self._finished = self._finished or is_whole(self.final)
        return self._finished

    @property
    def path(self) -> Path:
        """The directory with the work: the finished one once it is finished."""
        return self.final if self.finished else self._partial

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of finished work."""
        return read_json(self.final / MANIFEST)

    def restart(self, keep: Collection[str] = ()) -> None:
        """Throw away what an earlier run left unfinished, but for files of these names."""
        kept = {name: self._partial / name for name in keep}
        kept = {name: file.read_bytes() for name, file in kept.items() if file.is_file()}
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        for name, content in kept.items():
            write_atomic(self._partial / name, content)

    def reopen(self) -> None:
        """Go on from finished work that was damaged, to redo only what it lost.

        The finished directory becomes the work in progress, by one rename; readers that have
        its files mapped keep them. For work that finds out by itself which of its parts are
        whole: other work starts from nothing and replaces the damaged directory at its end.
        """
        if self.finished or not self.final.is_dir() or any(self._partial.iterdir()):
            return
        if (self.final / RELEASED).exists():
            return  # removed on purpose; that stays known until the data are there again
        self._partial.rmdir()
        (self.final / MANIFEST).unlink(missing_ok=True)  # it is not finished any more
        self.final.replace(self._partial)
        fsync_dir(self.final.parent)

    def finish(
        self,
        manifest: Mapping[str, Any],
        *,
        known: Mapping[str, str] | None = None,
        needs: Iterable[str] = (),
    ) -> None:
        """Declare the work complete and publish it: inventory, manifest, one rename, the record.

        Parameters
        ----------
        manifest
            What the record says; ``identity``, ``bulk`` and the inventory's hash are added.
        known
            As of `saeflow.inventory.write_inventory`.
        needs
            Names of finished bulk beside this one, without which it is of no use: when that is
            damaged, this counts as damaged.
        """
        if self.finished:
            raise RuntimeError(f"{self.final} is finished already")
        if self.check is not None:
            try:
                self.check()
            except SaeflowError:
                self.restart()
                raise
        sync_tree(self._partial)
        record = {
            **manifest,
            "identity": self.identity,
            "bulk": self.final.name,
            "inventory": write_inventory(self._partial, known),
        }
        if needs:
            record["needs"] = sorted(needs)
        write_json(self._partial / MANIFEST, with_checksum(record))
        if self.final.exists():  # finished once, then damaged: this run replaces it
            shutil.rmtree(self.final)
        self._partial.replace(self.final)
        fsync_dir(self.final.parent)
        self._finished = True
        self.publish()
        count_result()

    def publish(self) -> None:
        """Copy the manifest to the declared output, the same bytes each time."""
        write_atomic(self.output, (self.final / MANIFEST).read_bytes())
        with suppress(OSError):
            self._partial.rmdir()  # empty, where what was lost was something that this needs


@contextmanager
def hold(
    output: Path, identity: str, suffix: str = "", wait_s: float = 86_400, *, shared: bool = False
) -> Iterator[Work]:
    """Hold the place of one job, waiting for a process that holds it.

    Parameters
    ----------
    output, identity
        The record that the job declares, whose directory is made, and the job's identity.
    suffix
        Appended to the name of the bulk directory (".zarr").
    wait_s
        How long to wait before giving up with a `BusyError`.
    shared
        Whether others that share it may hold the place too; none of them may finish the work.

    Notes
    -----
    The pattern of a job::

        with hold(output, identity) as work:
            if not work.finished:
                compute(work.path)
                work.finish({...})
            work.publish()
    """
    with locked(output, wait_s, shared=shared):
        yield Work(output, identity, suffix)


def sync_tree(directory: Path) -> None:
    """Flush every file below a directory: the rename must not overtake the data."""
    for root, _, names in os.walk(directory):
        for name in names:
            descriptor = os.open(Path(root) / name, os.O_RDONLY)
            try:
                with naming_full_disk(Path(root) / name):
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        fsync_dir(Path(root))
