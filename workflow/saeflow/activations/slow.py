"""Rows that cannot be mapped, because they are compressed or laid out otherwise, through Zarr.

Zarr reads a missing file as zeros, and an empty one too, so the files are looked at before the
first reading and after each. Read `SlowRows`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import zarr

from saeflow.errors import DamagedError, first_line
from saeflow.files import read_json
from saeflow.inventory import INVENTORY, REPAIR, read_inventory


class SlowRows:
    """Rows of a Zarr array (n, d), one chunk of rows at a time.

    Parameters
    ----------
    path
        Directory of the array.
    values
        Makes values of what is stored, given its rows and the number of the first one.

    Attributes
    ----------
    shape, dtype, chunk_rows
        As of `saeflow.activations.array.Activations`.
    """

    def __init__(
        self, path: Path, values: Callable[[np.ndarray, int], np.ndarray] = lambda x, _start: x
    ) -> None:
        self._files = ChunkFiles(path)
        self._array = zarr.open_array(str(path), mode="r")
        self._values = values
        self.shape = self._array.shape
        self.dtype = str(self._array.attrs.get("logical_dtype", self._array.dtype.name))
        self.chunk_rows = self._array.chunks[0]

    def read(self, where: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """Return rows (k, d), a copy; a slice or an array of row numbers or of booleans."""
        if isinstance(where, slice):
            start, end, step = where.indices(self.shape[0])
            if step > 0:
                return self._read(start, max(start, end))[::step]
        # Each chunk that holds some of the rows is read once, and the rows are taken out of it.
        index = row_numbers(where, self.shape[0])
        found = np.empty((len(index), self.shape[1]), self._read(0, 0).dtype)
        chunk = index // self.chunk_rows
        order = np.argsort(chunk, kind="stable")
        borders = np.flatnonzero(np.diff(chunk[order])) + 1
        for rows in np.split(order, borders):
            if len(rows):
                start = int(chunk[rows[0]]) * self.chunk_rows
                found[rows] = self._read(start, start + self.chunk_rows)[index[rows] - start]
        return found

    def _read(self, start: int, end: int) -> np.ndarray:
        try:
            found = np.asarray(self._array[start:end])
        except (ValueError, RuntimeError) as error:  # a checksum of the index or of zstd
            raise DamagedError(
                "rows cannot be read",
                where=self._files.path,
                got=first_line(error),
                remedy="`saeflow verify` names the damaged file.",
            ) from error
        self._files.check(start, end)
        return self._values(found, start)


def row_numbers(where: slice | np.ndarray | Sequence[int], n: int) -> np.ndarray:
    """Return the numbers (k,) int64 of those of ``n`` rows that an index means."""
    if isinstance(where, slice):
        return np.arange(*where.indices(n))
    rows = np.asarray(where)
    if rows.dtype == bool:
        return np.flatnonzero(rows)
    if len(rows) and not -n <= rows.min() <= rows.max() < n:
        raise IndexError(f"row {rows.min()} or {rows.max()} of {n}")
    return np.where(rows < 0, rows + n, rows).astype(np.int64)


class ChunkFiles:
    """The files in which a Zarr array, whose directory it gets, keeps its values.

    Where the directory above has an inventory, sizes are compared with it; else each file that the
    shape asks for must be there and not empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        facts = read_json(self.path / "zarr.json")
        self._chunk = facts["chunk_grid"]["configuration"]["chunk_shape"]
        self._grid = [-(-n // c) for n, c in zip(facts["shape"], self._chunk, strict=True)]
        keys = facts["chunk_key_encoding"]
        self._separator = keys.get("configuration", {}).get(
            "separator", "/" if keys["name"] == "default" else "."
        )
        self._start = f"c{self._separator}" if keys["name"] == "default" else ""
        self._sizes: dict[str, int] = {}
        if (self.path.parent / INVENTORY).is_file():
            for name, known in read_inventory(self.path.parent).items():
                self._sizes[name] = known["bytes"]
        self.check(0, facts["shape"][0])

    def check(self, start: int, end: int) -> None:
        """Raise a `DamagedError` where a file of rows ``start`` to ``end`` is not as it was."""
        last = min(-(-end // self._chunk[0]), self._grid[0])
        for name in self._names(range(start // self._chunk[0], last)):
            file = self.path / name
            size = file.stat().st_size if file.is_file() else None
            expected = self._sizes.get(f"{self.path.name}/{name}")
            if not size or (expected is not None and size != expected):
                raise DamagedError(
                    "a shard is missing or has another size",
                    where=file,
                    expected="a file with content" if expected is None else f"{expected} bytes",
                    got="no file" if size is None else f"{size} bytes",
                    remedy=REPAIR,
                )

    def _names(self, rows: range) -> Iterator[str]:
        others = [range(n) for n in self._grid[1:]]
        for place in itertools.product(rows, *others):
            yield self._start + self._separator.join(map(str, place))
