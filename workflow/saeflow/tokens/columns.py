"""One-dimensional columns in a Zarr group, whose files an inventory lists.

Zarr reads a missing shard as zeros, so completeness is decided by the inventory (see
`saeflow.inventory`), never by the arrays. Token stores and row tables are made of this. Read
`TokenColumns` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from saeflow.errors import DamagedError, first_line
from saeflow.files import naming_full_disk
from saeflow.inventory import DISCARD, REPAIR, altered_files, read_inventory, write_inventory

_SHARD_VALUES = 1 << 22
_CHUNK_VALUES = 1 << 16

DTYPES = {
    "token_id": "uint32",
    "document": "uint32",
    "position": "uint16",
    "document_position": "uint32",
    "flags": "uint8",
    "sequence_offsets": "int64",
}
"""The columns of `TokenColumns`."""


class ColumnWriter:
    """Writes columns, of these dtypes by name, front to back, whole shards at a time.

    The directory of the group must be empty.
    """

    def __init__(
        self, path: Path, dtypes: Mapping[str, str], attributes: Mapping[str, Any]
    ) -> None:
        self.path = Path(path)
        group = zarr.create_group(str(path), attributes=dict(attributes))
        self._arrays = {
            name: group.create_array(
                name,
                shape=(0,),
                chunks=(_CHUNK_VALUES,),
                shards=(_SHARD_VALUES,),
                dtype=dtype,
                compressors=zarr.codecs.ZstdCodec(level=1, checksum=True),
                # Chunks of zeros are written too, so that a missing file is always a loss.
                config={"write_empty_chunks": True},
            )
            for name, dtype in dtypes.items()
        }
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
        write_inventory(self.path)

    def _flush(self, name: str, *, whole: bool) -> None:
        array = self._arrays[name]
        values = np.concatenate([np.empty(0, array.dtype), *self._waiting[name]])
        n = len(values) // _SHARD_VALUES * _SHARD_VALUES if whole else len(values)
        start = array.shape[0]
        if n:
            with naming_full_disk(self.path / name):
                array.resize((start + n,))
                array[start:] = values[:n].astype(array.dtype, casting="same_kind")
        self._waiting[name] = [values[n:]]


class Columns:
    """The columns of a finished group's directory, loaded when first asked for.

    A file that is missing or has another size than when it was written is a `DamagedError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._files = read_inventory(self.path)
        self._check_sizes("")
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
            values = np.asarray(self._group[name][start:end])
        except (ValueError, RuntimeError) as error:  # checksum of the shard's index or of zstd
            raise DamagedError(
                "a column cannot be read",
                where=self.path / name,
                got=first_line(error),
                remedy=DISCARD,
            ) from error
        self._check_sizes(f"{name}/")  # a file that went away meanwhile was read as zeros
        return values

    def length(self, name: str) -> int:
        """Return the number of values of a column."""
        return self._group[name].shape[0]

    def verify(self) -> int:
        """Compare every file with its hash when it was written: bytes read or a `DamagedError`."""
        read: list[int] = []
        for damage in altered_files(self.path, read.append):
            raise DamagedError(
                "the file is not what was written",
                where=damage.path,
                got=damage.what,
                remedy=DISCARD,
            )
        return sum(read)

    def _check_sizes(self, start: str) -> None:
        """Check the files whose relative path begins with ``start``."""
        for name, facts in self._files.items():
            file = self.path / name
            got = file.stat().st_size if file.is_file() else "no file"
            if name.startswith(start) and got != facts["bytes"]:
                raise DamagedError(
                    "a file of the store is missing or has another size",
                    where=file,
                    expected=f"{facts['bytes']} bytes",
                    got=got,
                    remedy=REPAIR,
                )


class TokenColumns(Columns):
    """The columns of tokens that form sequences, ``columns["flags"]`` or ``columns.flags``.

    Attributes
    ----------
    token_id : ndarray (n_tokens,) uint32
    document : ndarray (n_tokens,) uint32
        Number of each token's document in the dataset.
    position : ndarray (n_tokens,) uint16
        Index of each token in its sequence.
    document_position : ndarray (n_tokens,) uint32
        Index of each token among its document's tokens.
    flags : ndarray (n_tokens,) uint8
        Bits of `saeflow.tokens.flags`.
    sequence_offsets : ndarray (n_sequences + 1,) int64
        First token of each sequence, and the end.
    """

    def __getattr__(self, name: str) -> np.ndarray:
        """Return a whole column, as `Columns.__getitem__` does."""
        if name in DTYPES:
            return self[name]
        raise AttributeError(name)
