"""The file of a hook's states while it is being filled: a killed or full disk costs one window.

Rows are written to their places, and committed window by window: what was not committed is written
again, the same bytes. Read `StateWriter`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from saeflow.files import naming_full_disk, read_object, write_json
from saeflow.measures.states import STATES

_COMMITTED = "committed.json"
_FLOAT = np.dtype(np.float32)


class StateWriter:
    """Fills ``states.npy`` in a directory, or goes on where an earlier run was ended.

    Parameters
    ----------
    directory
        Of the work.
    n_rows
        Rows in the end.

    Attributes
    ----------
    n_done : int
        Rows, the first ones, that are committed.
    d : int
        Numbers of a row; 0 until the first is written.
    """

    def __init__(self, directory: Path, n_rows: int) -> None:
        self._path, self._commit = directory / STATES, directory / _COMMITTED
        self.n_rows, self.d = n_rows, 0
        known = read_object(self._commit)
        self.n_done = known.get("rows", 0) if self._path.is_file() else 0
        if self.n_done:
            self.d = known["d"]
        self._header_bytes = 0

    def write(self, rows: np.ndarray, x: np.ndarray) -> None:
        """Write x (n, d) to rows (n,), all different."""
        order = np.argsort(rows)
        rows, x = rows[order], np.ascontiguousarray(x[order], dtype=_FLOAT)
        self._begin(x.shape[1])
        runs = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        with naming_full_disk(self._path), self._path.open("r+b") as file:
            for start, end in zip(runs, [*runs[1:], len(rows)], strict=True):
                file.seek(self._header_bytes + int(rows[start]) * self.d * _FLOAT.itemsize)
                file.write(x[start:end].tobytes())

    def commit(self, n_done: int) -> None:
        """Note that the first ``n_done`` rows are there, also after a power cut."""
        with naming_full_disk(self._path), self._path.open("r+b") as file:
            os.fsync(file.fileno())
        self.n_done = n_done
        write_json(self._commit, {"rows": n_done, "d": self.d})

    def close(self) -> None:
        """Leave the finished file alone in its place."""
        self._commit.unlink(missing_ok=True)

    def _begin(self, d: int) -> None:
        """Write the head of the file, unless it is there."""
        if self._header_bytes:
            return
        self.d = d
        described = {"descr": _FLOAT.str, "fortran_order": False, "shape": (self.n_rows, d)}
        with naming_full_disk(self._path):
            with self._path.open("r+b" if self.n_done else "wb") as file:
                np.lib.format.write_array_header_1_0(file, described)
                self._header_bytes = file.tell()
