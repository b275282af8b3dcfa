"""The lock of a record: who makes it, or removes what it names, holds its place.

A lock is the kernel's, on a hidden file beside the record that is never deleted: it ends with its
process, so a crash leaves none behind. Read `locked`; `saeflow.work.hold` is what jobs use, and
`saeflow.readers` has a lock of its own, taken by `take`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from saeflow.errors import BusyError, LockError
from saeflow.logs import waiting

_POLL_S = 0.5
_HELD = (errno.EAGAIN, errno.EACCES)


def lock_path(output: Path) -> Path:
    """Return the file that a process locks while it works on a record."""
    return Path(output).with_name(f".{Path(output).name}.lock")


@contextmanager
def locked(output: Path, wait_s: float = 86_400, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a record, waiting for a process that holds it.

    The parameters are those of `saeflow.work.hold`. Another process that still holds it after
    ``wait_s`` seconds is a `BusyError`, a file system that does not lock files a `LockError`.
    """
    with _open_lock(output) as lock:
        _wait(lock, Path(output), wait_s, shared=shared)
        yield


@contextmanager
def try_lock(output: Path) -> Iterator[bool]:
    """Take the lock of a record if nobody holds it, and say whether that worked."""
    with _open_lock(output) as lock:
        yield take(lock)


def take(lock: IO[str], *, shared: bool = False) -> bool:
    """Lock an open file unless another process holds it, and say whether that worked."""
    try:
        fcntl.lockf(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise LockError(
            "the file system does not lock files, so two jobs might do the same work at once",
            where=lock.name,
            got=os.strerror(error.errno),
            remedy="Have it mounted with locks (Lustre: flock; NFS: without nolock), or make"
            " results a link to a directory on a file system that has them.",
        ) from error
    return True


def _open_lock(output: Path) -> IO[str]:
    lock_path(output).parent.mkdir(parents=True, exist_ok=True)
    return lock_path(output).open("a+")  # a shared lock wants a file that is open for reading


def _wait(lock: IO[str], output: Path, wait_s: float, *, shared: bool) -> None:
    deadline = time.monotonic() + wait_s
    if take(lock, shared=shared):
        return
    if wait_s > 0:
        with waiting(f"waits: another process is making {output}"):
            while time.monotonic() < deadline:
                time.sleep(_POLL_S)
                if take(lock, shared=shared):
                    return
    raise BusyError(
        "another process is still doing this work",
        where=output,
        remedy="Wait for it, or end it and run the workflow again.",
    )
