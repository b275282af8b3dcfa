"""How long a set of jobs takes on some cores, when each starts as soon as it can.

Read `makespan`.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple


class Piece(NamedTuple):
    """A job to be scheduled.

    Attributes
    ----------
    seconds : float
        What it takes.
    threads : int
        Cores that it holds.
    after : tuple
        Names of the jobs that must be done before.
    turn : Hashable or None
        Jobs of one turn run one at a time; the first does the work of all.
    """

    seconds: float
    threads: int
    after: tuple[Hashable, ...] = ()
    turn: Hashable | None = None


def makespan(
    pieces: Mapping[Hashable, Piece], cores: int, work: Mapping[Hashable, float] | None = None
) -> float:
    """Return the seconds until all jobs are done.

    Parameters
    ----------
    pieces
        The jobs by name, in the order in which they are preferred.
    cores
        Threads that run at a time; a job that wants more gets all.
    work
        Seconds of the shared work of each turn, beside what its jobs take themselves: whichever
        of them starts first does it.
    """
    left = dict(work or {})
    waiting: dict[Hashable, Piece] = dict(pieces)
    done: set[Hashable] = {name for p in pieces.values() for name in p.after} - set(pieces)
    running: list[tuple[float, int, Hashable]] = []
    busy: set[Hashable] = set()
    free, now, count = cores, 0.0, 0
    while waiting or running:
        for name in _ready(waiting, done):
            piece = waiting[name]
            threads = min(piece.threads, cores)
            if threads > free or (piece.turn is not None and piece.turn in busy):
                continue
            seconds = piece.seconds + left.pop(piece.turn, 0.0)
            heapq.heappush(running, (now + seconds, count, name))
            count += 1
            free -= threads
            busy |= {piece.turn} if piece.turn is not None else set()
            del waiting[name]
        now, _, name = heapq.heappop(running)
        piece = pieces[name]
        free += min(piece.threads, cores)
        busy.discard(piece.turn)
        done.add(name)
    return now


def _ready(waiting: Mapping[Hashable, Piece], done: set[Hashable]) -> Sequence[Hashable]:
    return [name for name, piece in waiting.items() if done.issuperset(piece.after)]
