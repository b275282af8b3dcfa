"""Refuse to begin a harvest that the disk cannot hold, with the figures and the choices.

Nothing here can change a byte that is written. Read `check_room`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from saeflow.errors import DiskFullError

if TYPE_CHECKING:
    from saeflow.activations.writer import ShardWriter

CHOICES = (
    "Free some space (`saeflow clean` lists what nothing needs), or choose: fewer tokens"
    " (packings > tokens), fewer hooks, activations > live: true (nothing is"
    " stored), activations > temporary: true (each store is removed after its last reader, though"
    " those of one model and dataset are made together), or another disk, linked in as"
    " results/activations."
)
"""What a person can do about a disk that is too small for the activations."""

_RESERVE_FRACTION = 0.02
_MAX_RESERVE_OF_DISK = 0.01
_RESERVE_BYTES = 256 << 20


def reserve(n_bytes: int, disk_bytes: int) -> int:
    """Return what is kept free beside ``n_bytes`` of activations.

    A fiftieth of them, and 256 MiB or a hundredth of the disk, whichever is less: for the small
    files beside the shards, and for what others write meanwhile.
    """
    return round(
        n_bytes * _RESERVE_FRACTION + min(_RESERVE_BYTES, disk_bytes * _MAX_RESERVE_OF_DISK)
    )


def missing_bytes(writers: Iterable[ShardWriter]) -> int:
    """Return what is to be written of some stores, by these writers and by those beside them."""
    n_bytes = 0
    for writer in writers:
        unwritten = writer.unwritten
        n_bytes += sum(map(writer.layout.file_bytes, unwritten))
        n_bytes -= sum(map(writer.begun_bytes, unwritten - writer.missing))
    return n_bytes


def check_room(writers: Iterable[ShardWriter]) -> None:
    """Raise a `DiskFullError` unless the disk holds what the writers have yet to write.

    They are those of one pass, in one directory. Where other jobs write the other shards at the
    same time, there must be room for these as well. A quota is not seen here: the system tells of
    it only when it is reached.
    """
    writers = [writer for writer in writers if writer.missing]
    if not writers:
        return
    place = Path(writers[0].path).parent
    disk = shutil.disk_usage(place)
    needed = missing_bytes(writers)
    kept = reserve(needed, disk.total)
    if needed + kept <= disk.free:
        return
    layout = writers[0].layout
    missing = sum(len(writer.unwritten) for writer in writers)
    raise DiskFullError(
        "the disk cannot hold the activations",
        where=place,
        expected=f"{_size(needed + kept)} free: {_size(needed)} for {missing} missing shards of"
        f" {', '.join(writer.where for writer in writers)} ({layout.n_rows:,} rows of width"
        f" {layout.d_model} in {layout.dtype}), and a reserve of {_size(kept)}",
        got=f"{_size(disk.free)} free",
        remedy=CHOICES,
    )


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 2**30:,.2f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:,.2f} MiB"
