"""Codes written as they come: arrays of a length that is known only at the end.

Read `CodesWriter`.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np

from saeflow.files import naming_full_disk
from saeflow.measures.codes import INDEX, OFFSETS, VALUES

_SHORT = 1 << 16


class CodesWriter:
    """Writes the codes of tokens, one batch after the other; a context that closes the files.

    ``values.npy``, ``index.npy`` and ``offsets.npy`` go into a directory.
    """

    def __init__(self, directory: Path, d_sae: int) -> None:
        index = np.uint16 if d_sae <= _SHORT else np.uint32
        self._values = _Growing(directory / VALUES, np.float32)
        self._index = _Growing(directory / INDEX, index)
        self._offsets = _Growing(directory / OFFSETS, np.int64)
        self._n_entries = 0
        self._offsets.append(np.zeros(1))

    def append(self, values: np.ndarray, index: np.ndarray, counts: np.ndarray) -> None:
        """Write the entries (n_entries,) of some tokens, and how many each has, (n_tokens,)."""
        self._values.append(values)
        self._index.append(index)
        self._offsets.append(self._n_entries + np.cumsum(counts, dtype=np.int64))
        self._n_entries += len(values)

    def __enter__(self) -> CodesWriter:
        """Give the writer to a ``with`` block that closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Say in the heads of the files how long they are."""
        for array in (self._values, self._index, self._offsets):
            array.close()


class _Growing:
    """A ``.npy`` file of one dimension that is appended to."""

    def __init__(self, path: Path, dtype: type[np.generic]) -> None:
        self._path, self._dtype, self._length = path, np.dtype(dtype), 0
        self._file = path.open("wb")
        self._write_head()

    def append(self, values: np.ndarray) -> None:
        with naming_full_disk(self._path):
            self._file.write(np.ascontiguousarray(values, dtype=self._dtype))
        self._length += len(values)

    def close(self) -> None:
        with naming_full_disk(self._path), self._file:
            self._file.seek(0)
            self._write_head()

    def _write_head(self) -> None:
        """Write the head, which NumPy pads so that it is as long whatever the length says."""
        head = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._length,)}
        np.lib.format.write_array_header_1_0(self._file, head)
