"""Stop a long job politely: the loop learns of SIGTERM and SIGINT, saves and ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """The job saved its state and stops because it was asked to."""


class Stop:
    """Whether the process was asked to stop."""

    requested = False
    """Set by the first SIGTERM or SIGINT; the loop looks at it after each step."""

    def check(self) -> None:
        """Raise `Interrupted` when a stop was asked for; call it after saving."""
        if self.requested:
            raise Interrupted


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Turn SIGTERM and SIGINT into a request to stop while the block runs.

    A second signal acts at once, for people who do not want to wait for the save.
    """
    stop = Stop()
    previous = {}

    def request(signum: int, _frame: FrameType | None) -> None:
        stop.requested = True
        signal.signal(signum, previous[signum])

    for signum in (signal.SIGTERM, signal.SIGINT):
        previous[signum] = signal.signal(signum, request)
    try:
        yield stop
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
