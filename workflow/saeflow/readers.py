"""Who reads finished bulk: a lock that readers share, and that removing it must have alone.

Read `reading` and `try_lock_unread`.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from saeflow.locks import try_lock


@contextmanager
def reading(record: Path) -> Iterator[None]:
    """Keep the bulk of a record from being removed while it is read.

    Notes
    -----
    In a directory that cannot be written to nothing is locked, and nobody can remove anything.
    A process must hold a record once at a time: the kernel's lock ends with the first release.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            lock = stack.enter_context(_open_readers_lock(record))
            fcntl.lockf(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def try_lock_unread(record: Path) -> Iterator[bool]:
    """Like `try_lock`, but only where no process reads the bulk either: it may be removed."""
    with try_lock(record) as free, _open_readers_lock(record) as readers:
        try:
            fcntl.lockf(readers, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            free = False
        yield free


def _open_readers_lock(record: Path) -> IO[str]:
    # A shared lock wants a file that is open for reading.
    return (Path(record).parent / f".{Path(record).name}.readers.lock").open("a+")
