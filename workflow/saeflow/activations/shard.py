"""One shard while it is written: streamed to a temporary file, hashed and summed on the way.

Read `OpenShard`; `saeflow.activations.writer` makes a store of them.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import IO

import numpy as np
import xxhash

from saeflow.activations.layout import Layout, shard_name
from saeflow.activations.sums import ShardSums
from saeflow.files import fsync_dir, naming_full_disk

_libc = ctypes.CDLL(None)
_START_WRITING = 2  # SYNC_FILE_RANGE_WRITE of Linux
_PART_BYTES = 1 << 24


class OpenShard:
    """A shard in progress, of an array's directory, in a temporary file beside its place.

    Attributes
    ----------
    next_row : int
        The row of the store that comes next.
    """

    def __init__(self, array: Path, layout: Layout, shard: int) -> None:
        self.layout, self.shard = layout, shard
        self.next_row, _ = layout.rows_of(shard)
        self._final = array / shard_name(shard)
        self._temporary = self._final.with_name(f"{self._final.name}.{os.getpid()}.tmp")
        with naming_full_disk(self._final):
            self._final.parent.mkdir(parents=True, exist_ok=True)
            fsync_dir(self._final.parent.parent)
            self._file: IO[bytes] = self._temporary.open("wb", buffering=0)
        self._hash = xxhash.xxh3_128()
        self._sums = ShardSums.zero(layout)
        self._written = self._started = 0

    def write(self, x: np.ndarray) -> None:
        """Write rows (n, d_model) as they are stored."""
        self._write(memoryview(np.ascontiguousarray(x)).cast("B"))
        self.next_row += len(x)

    def add(self, x: np.ndarray, excluded: np.ndarray) -> None:
        """Add the same rows to the sums; another thread than the writing one may do so."""
        self._sums.add(x, excluded)

    def close(self) -> tuple[str, ShardSums]:
        """Pad, append the index, flush and give the file its name; return hash and sums."""
        start, end = self.layout.rows_of(self.shard)
        padding = self.layout.data_bytes(self.shard) - (end - start) * self.layout.row_bytes
        self._write(memoryview(bytes(padding)))
        self._write(memoryview(self.layout.index(self.shard)))
        with naming_full_disk(self._final):
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._final)
            fsync_dir(self._final.parent)
        return self._hash.hexdigest(), self._sums.close()

    def abandon(self) -> None:
        """Remove the temporary file."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _write(self, content: memoryview) -> None:
        self._hash.update(content)
        with naming_full_disk(self._final):
            while content:
                n = self._file.write(content)
                content = content[n:]
                self._written += n
        if self._written - self._started >= _PART_BYTES:
            self._start_disk()

    def _start_disk(self) -> None:
        """Have the disk begin with what was written; else all of it waits for the flush."""
        if hasattr(_libc, "sync_file_range"):  # an aid; only the flush is a promise
            start, n = self._started, self._written - self._started
            _libc.sync_file_range(
                self._file.fileno(), ctypes.c_int64(start), ctypes.c_int64(n), _START_WRITING
            )
        self._started = self._written
