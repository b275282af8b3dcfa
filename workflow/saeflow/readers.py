"""Who reads finished bulk: a lock that readers share, and that removing it must have alone.

Read `reading` and `try_lock_unread`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from saeflow.locks import take, try_lock

_POLL_S = 0.1


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
            while not take(lock, shared=True):
                time.sleep(_POLL_S)  # who removes it will be done at once
        yield


@contextmanager
def try_lock_unread(record: Path) -> Iterator[bool]:
    """Like `try_lock`, but only where no process reads the bulk either: it may be removed."""
    with try_lock(record) as free, _open_readers_lock(record) as readers:
        yield take(readers) and free


def _open_readers_lock(record: Path) -> IO[str]:
    # A shared lock wants a file that is open for reading.
    return (Path(record).parent / f".{Path(record).name}.readers.lock").open("a+")
