"""The lock of a record: who makes it, or removes what it names, holds its place.

A lock is the kernel's, on a hidden file beside the record that is never deleted: it ends with its
process, so a crash leaves none behind. Read `locked`; `saeflow.work.hold` is what jobs use.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from saeflow.errors import BusyError

logger = logging.getLogger(__name__)

_POLL_S = 0.5


def lock_path(output: Path) -> Path:
    """Return the file that a process locks while it works on a record."""
    output = Path(output)
    return output.parent / f".{output.name}.lock"


@contextmanager
def locked(output: Path, wait_s: float = 86_400, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a record, waiting for a process that holds it.

    The parameters are those of `saeflow.work.hold`.

    Raises
    ------
    BusyError
        If another process still holds it after ``wait_s`` seconds.
    """
    with _open_lock(output) as lock:
        _lock(lock, Path(output), wait_s, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


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


def _open_lock(output: Path) -> IO[str]:
    path = lock_path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a+")  # a shared lock wants a file that is open for reading


def _lock(lock: IO[str], output: Path, wait_s: float, kind: int) -> None:
    deadline = time.monotonic() + wait_s
    told = False
    while True:
        try:
            fcntl.lockf(lock, kind | fcntl.LOCK_NB)
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
        time.sleep(_POLL_S)
