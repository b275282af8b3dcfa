"""One-dimensional columns in a Zarr group, with an inventory of their files.

Zarr reads a missing shard as zeros, so completeness is decided by the inventory that is written
last, never by the arrays. Token stores and row tables are made of this. Read `Columns` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
import zarr

from saeflow.errors import DamagedError
from saeflow.files import read_json, write_json

INVENTORY = "files.json"
_SHARD_VALUES = 1 << 22
_CHUNK_VALUES = 1 << 16
_REPAIR = "Delete the directory and its record and run the workflow again: it makes them anew."


class ColumnWriter:
    """Writes columns front to back, whole shards at a time.

    Parameters
    ----------
    path
        Directory of the group; it must be empty.
    dtypes
        Name -> dtype of each column.
    attributes
        Attributes of the group.
    """

    def __init__(
        self, path: Path, dtypes: Mapping[str, str], attributes: Mapping[str, Any]
    ) -> None:
        self.path = Path(path)
        group = zarr.create_group(str(path), attributes=dict(attributes))
        self._arrays = {name: _create(group, name, dtype) for name, dtype in dtypes.items()}
        self._waiting: dict[str, list[np.ndarray]] = {name: [] for name in dtypes}

    def append(self, **columns: np.ndarray) -> None:
        """Append values to columns; (n,) each."""
        for name, values in columns.items():
            self._waiting[name].append(values)
            if sum(map(len, self._waiting[name])) >= _SHARD_VALUES:
                self._flush(name, whole=True)

    def close(self) -> None:
        """Write what is left and the inventory."""
        for name in self._arrays:
            self._flush(name, whole=False)
        write_json(self.path / INVENTORY, _hashes(self.path))

    def _flush(self, name: str, *, whole: bool) -> None:
        array = self._arrays[name]
        values = np.concatenate([np.empty(0, array.dtype), *self._waiting[name]])
        n = len(values) // _SHARD_VALUES * _SHARD_VALUES if whole else len(values)
        start = array.shape[0]
        if n:
            array.resize((start + n,))
            array[start:] = values[:n].astype(array.dtype, casting="same_kind")
        self._waiting[name] = [values[n:]]


def _create(group: zarr.Group, name: str, dtype: str) -> zarr.Array:
    return group.create_array(
        name,
        shape=(0,),
        chunks=(_CHUNK_VALUES,),
        shards=(_SHARD_VALUES,),
        dtype=dtype,
        compressors=zarr.codecs.ZstdCodec(level=1, checksum=True),
        # Chunks of zeros are written too, so that a missing file is always a loss.
        config={"write_empty_chunks": True},
    )


def _hashes(path: Path) -> dict[str, Any]:
    files = sorted(p for p in path.rglob("*") if p.is_file() and "c" in p.relative_to(path).parts)
    return {
        file.relative_to(path).as_posix(): {
            "bytes": file.stat().st_size,
            "xxh3_128": xxhash.xxh3_128_hexdigest(file.read_bytes()),
        }
        for file in files
    }


class Columns:
    """The columns of a finished group, loaded when first asked for.

    Parameters
    ----------
    path
        Directory of the group.

    Raises
    ------
    DamagedError
        If a file is missing or has another size than when it was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._files = read_json(self.path / INVENTORY)
        for name, facts in self._files.items():
            _check_size(self.path / name, facts["bytes"])
        self._group = zarr.open_group(str(path), mode="r", use_consolidated=False)
        self._loaded: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a whole column, read-only; it stays in memory."""
        if name not in self._loaded:
            values = self.read(name)
            values.flags.writeable = False
            self._loaded[name] = values
        return self._loaded[name]

    def read(self, name: str, start: int = 0, end: int | None = None) -> np.ndarray:
        """Return values ``start`` to ``end`` of a column, keeping nothing in memory."""
        if name in self._loaded:
            return self._loaded[name][start:end]
        try:
            return np.asarray(self._group[name][start:end])
        except (ValueError, RuntimeError) as error:  # checksum of the shard's index or of zstd
            raise DamagedError(
                "a column cannot be read",
                where=self.path / name,
                got=str(error).splitlines()[0],
                remedy=_REPAIR,
            ) from error

    def length(self, name: str) -> int:
        """Return the number of values of a column."""
        return self._group[name].shape[0]

    def verify(self) -> int:
        """Compare every file with the hash taken when it was written.

        Returns
        -------
        int
            Bytes read.

        Raises
        ------
        DamagedError
            If one differs.
        """
        total = 0
        for name, facts in self._files.items():
            content = (self.path / name).read_bytes()
            if xxhash.xxh3_128_hexdigest(content) != facts["xxh3_128"]:
                raise DamagedError(
                    "the file is not what was written",
                    where=self.path / name,
                    expected=f"xxh3_128 {facts['xxh3_128']}",
                    remedy=_REPAIR,
                )
            total += len(content)
        return total


def _check_size(path: Path, expected: int) -> None:
    got = path.stat().st_size if path.is_file() else "no file"
    if got != expected:
        raise DamagedError(
            "a file of the store is missing or has another size",
            where=path,
            expected=f"{expected} bytes",
            got=got,
            remedy=_REPAIR,
        )
