"""Work that survives being killed: one directory, one lock, one rename at the end.

Snakemake removes a job's declared outputs before a rerun and after a failure. So a long job
computes in a directory that Snakemake does not know, named by the job's identity, and declares
only a small record, which appears last. The directory keeps data *and* the state that describes
them, so that they live and die together. Read `hold` first.

    results/saes/.../sae.json                              the record, Snakemake's output
    results/saes/.../sae.0123456789abcdef/                 its bulk, finished
    results/saes/.../sae.0123456789abcdef.partial/         the same while it is being made
    results/saes/.../.sae.json.lock                        held while somebody works; never deleted
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from saeflow.errors import BusyError, DamagedError
from saeflow.files import fsync_dir, read_json, write_atomic, write_json

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
IDENTITY_CHARACTERS = 16
_LOCK_POLL_S = 0.5


def bulk_path(output: Path, identity: str, suffix: str = "") -> Path:
    """Return where the finished bulk of ``output`` under ``identity`` lies."""
    return output.parent / f"{output.stem}.{identity[:IDENTITY_CHARACTERS]}{suffix}"


def bulk_of(record: Path) -> Path:
    """Return the bulk directory that a published record names.

    Parameters
    ----------
    record
        The declared output, or the manifest inside the bulk, which has the same content.

    Raises
    ------
    DamagedError
        If the record or the directory is missing.
    """
    record = Path(record)
    if record.name == MANIFEST:  # finished, not published yet: the bulk's own copy
        return record.parent
    bulk = record.parent / read_json(record)["bulk"]
    if not (bulk / MANIFEST).is_file():
        raise DamagedError(
            "the data that this record names are missing or unfinished",
            where=record,
            expected=bulk / MANIFEST,
            remedy="Run the workflow again: it makes them anew.",
        )
    return bulk


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
    """

    def __init__(self, output: Path, identity: str, suffix: str) -> None:
        self.output, self.identity = Path(output), identity
        self.final = bulk_path(self.output, identity, suffix)
        self._partial = self.final.with_name(self.final.name + ".partial")
        if not self.finished:
            self._partial.mkdir(parents=True, exist_ok=True)

    @property
    def finished(self) -> bool:
        """Whether this work was completed, by this run or an earlier one."""
        return (self.final / MANIFEST).is_file()

    @property
    def path(self) -> Path:
        """The directory with the work: the finished one once it is finished."""
        return self.final if self.finished else self._partial

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of finished work."""
        return read_json(self.final / MANIFEST)

    def restart(self) -> None:
        """Throw away what an earlier run left unfinished."""
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Declare the work complete: write its manifest, then rename the directory.

        Parameters
        ----------
        manifest
            What the record says; ``identity`` and ``bulk`` are added.
        """
        record = {**manifest, "identity": self.identity, "bulk": self.final.name}
        _sync_tree(self._partial)
        write_json(self._partial / MANIFEST, record)
        if self.final.exists():  # finished once, then lost its manifest: this run replaces it
            shutil.rmtree(self.final)
        self._partial.replace(self.final)
        fsync_dir(self.final.parent)

    def publish(self) -> None:
        """Copy the manifest to the declared output, the same bytes each time."""
        write_atomic(self.output, (self.final / MANIFEST).read_bytes())


@contextmanager
def hold(output: Path, identity: str, suffix: str = "", wait_s: float = 86_400) -> Iterator[Work]:
    """Hold the place of one job, waiting for a process that holds it.

    The lock is the kernel's: it ends with the process, so a crash leaves none behind.

    Parameters
    ----------
    output
        The record that the job declares; its directory is made.
    identity
        The job's identity.
    suffix
        Appended to the name of the bulk directory (".zarr").
    wait_s
        How long to wait before giving up with a `BusyError`.

    Notes
    -----
    The pattern of a job::

        with hold(output, identity) as work:
            if not work.finished:
                compute(work.path)
                work.finish({...})
            work.publish()
    """
    with _open_lock(output) as lock:
        _lock(lock, Path(output), wait_s)
        yield Work(output, identity, suffix)


@contextmanager
def try_lock(output: Path) -> Iterator[bool]:
    """Take the lock of a record if nobody holds it, and say whether that worked."""
    with _open_lock(output) as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


@contextmanager
def try_hold(output: Path, identity: str, suffix: str = "") -> Iterator[Work | None]:
    """Like `hold`, but give None at once when another process holds the place."""
    with try_lock(output) as free:
        yield Work(output, identity, suffix) if free else None


def _open_lock(output: Path) -> IO[str]:
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    return (output.parent / f".{output.name}.lock").open("a")


def _lock(lock: IO[str], output: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    told = False
    while True:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise BusyError(
                    "another process is still doing this work",
                    where=output,
                    remedy="Wait for it, or end it and run the workflow again.",
                ) from None
        if not told:
            logger.info("waiting: another process is making %s", output)
            told = True
        time.sleep(_LOCK_POLL_S)


def _sync_tree(directory: Path) -> None:
    """Flush every file below a directory: the rename must not overtake the data."""
    for root, _, names in os.walk(directory):
        for name in names:
            descriptor = os.open(Path(root) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        fsync_dir(Path(root))
