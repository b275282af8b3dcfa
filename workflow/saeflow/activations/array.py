"""One array of activations on disk, as something to index: mapped where its layout allows.

Read `open_array`. What is indexed comes back as numbers, whatever the dtype on disk.
"""

from __future__ import annotations

import logging
import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from saeflow.activations.layout import ARRAY, Layout, read_layout, shard_name
from saeflow.activations.mapping import map_files, populate
from saeflow.activations.slow import SlowRows
from saeflow.activations.values import TORCH, bits, from_bits
from saeflow.errors import DamagedError, StoreError
from saeflow.inventory import DISCARD, REPAIR

logger = logging.getLogger(__name__)


class Activations:
    """The rows of one hook: ``activations[10:20]``, ``activations[index_array]``.

    Indexing gives NumPy rows in the dtype of the store; bfloat16, which NumPy lacks, as float32.

    Attributes
    ----------
    shape, dtype, chunk_rows
        (n_rows, d_model); float16, bfloat16 or float32; and as many rows lie together on disk.
    mapped : ndarray (n_rows, d_model) or None
        All rows as they lie on disk (bfloat16 as uint16), read-only, without a copy; None where
        the layout does not allow it and zarr-python reads instead.
    is_live : bool
        Whether rows are computed whenever they are read, and not stored.

    Raises
    ------
    StoreError
        If a row that is asked for as numbers holds NaN or infinity: none is written, so the files
        were altered. `raw`, `read_into` and `mapped` give what is there.
    """

    is_live = False

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: str,
        chunk_rows: int,
        values: np.ndarray | None,
        slow: SlowRows | None = None,
        *,
        path: Path | None = None,
    ) -> None:
        self.shape, self.dtype, self.chunk_rows = shape, dtype, chunk_rows
        self._values, self._slow, self._path = values, slow, path

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __getitem__(self, where: slice | np.ndarray | int) -> np.ndarray:
        """Return a copy of rows (n, d_model), or of one row (d_model,)."""
        if isinstance(where, (int, np.integer)):
            return self[[int(where)]][0]
        found = self.raw(where)
        if self.dtype == "bfloat16":
            return self._finite(from_bits(bits(found), self.dtype), where).numpy()
        self._finite(bits(found).view(TORCH[self.dtype]), where)
        return found.copy() if found.base is not None else found

    def raw(self, where: slice | np.ndarray | Sequence[int]) -> np.ndarray:
        """Return rows as they are stored; a slice of a mapped array is not copied."""
        if self._values is not None:
            return self._values[where]
        return self._slow.read(where)

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Fill ``out`` (n, d_model), of the dtype that `raw` gives, with rows from ``start`` on."""
        if not 0 <= start <= start + len(out) <= len(self):
            raise IndexError(f"rows {start} to {start + len(out)} of {len(self)}")
        np.copyto(out, self.raw(slice(start, start + len(out))), casting="no")

    def tensor(self, where: slice | np.ndarray | torch.Tensor) -> torch.Tensor:
        """Return rows as a float32 tensor (n, d_model)."""
        if isinstance(where, torch.Tensor) and self._values is not None:
            x = from_bits(bits(self._values).index_select(0, where), self.dtype)
            return self._finite(x, where.numpy())
        if isinstance(where, torch.Tensor):
            where = where.numpy()
        x = self._finite(from_bits(bits(self.raw(where)), self.dtype), where)
        return x.clone() if self.dtype == "float32" else x

    def _finite(self, x: torch.Tensor, where: slice | np.ndarray | Sequence[int]) -> torch.Tensor:
        """Return rows (n, d_model) if their numbers are finite."""
        if bool(x.sum(dtype=torch.float32).isfinite()) or bool(x.isfinite().all()):
            return x
        i, dimension = (~x.isfinite()).nonzero()[0].tolist()
        row = int(np.arange(len(self))[where][i])
        raise StoreError(
            "a stored activation is not a finite number",
            where=self._path,
            got=f"{x[i, dimension].item()} in row {row}, dimension {dimension}{self._shard(row)}",
            remedy="`saeflow verify --discard` removes altered files; harvest this hook again.",
        )

    def _shard(self, row: int) -> str:
        """Name the file that a row lies in, where it lies in one."""
        layout = self._path and read_layout(self._path)[0]
        return f", shard {self._path / shard_name(row // layout.shard_rows)}" if layout else ""

    def populate(self, start: int, end: int) -> None:
        """Bring rows into memory ahead of their use; does nothing where they are not mapped."""
        if self._values is not None:
            populate(self._values[start:end])

    @property
    def mapped(self) -> np.ndarray | None:
        """All rows as they lie on disk, read-only."""
        if self._values is None:
            return None
        view = self._values.view()
        view.flags.writeable = False
        return view

    def close(self) -> None:
        """Let go of the mapping; it ends with the last array that still looks at it."""
        self._values = self._slow = None


def open_array(store: Path) -> Activations:
    """Open the activations of a store's directory.

    A shard that is missing, too short or has a damaged index is a `DamagedError`.
    """
    path = store / ARRAY
    layout, reason = read_layout(path)
    if layout is None:
        return _slow(path, reason)
    in_order = [_check_shard(path, layout, shard) for shard in range(layout.n_shards)]
    shard_bytes = layout.shard_rows * layout.row_bytes
    if not all(in_order):
        return _slow(path, "the inner chunks of some shards are not in order")
    if layout.n_shards > 1 and shard_bytes % mmap.PAGESIZE:
        return _slow(path, "its shards do not fill whole pages")
    files = [path / shard_name(shard) for shard in range(layout.n_shards)]
    rows = [end - start for start, end in map(layout.rows_of, range(layout.n_shards))]
    content = map_files(files, [n * layout.row_bytes for n in rows])
    values = content.view(layout.storage).reshape(layout.n_rows, layout.d_model)
    return Activations(values.shape, layout.dtype, layout.inner_rows, values, path=path)


def _slow(path: Path, reason: str) -> Activations:
    logger.warning("%s is read through zarr-python, which is slow: %s", path, reason)
    rows = SlowRows(path)
    return Activations(rows.shape, rows.dtype, rows.chunk_rows, None, rows, path=path)


def _check_shard(path: Path, layout: Layout, shard: int) -> bool:
    """Check a shard's size and index; return whether its chunks lie in order."""
    file = path / shard_name(shard)
    expected = layout.file_bytes(shard)
    size = file.stat().st_size if file.is_file() else -1
    if size != expected:
        raise DamagedError(
            "a shard is missing or has another size",
            where=file,
            expected=f"{expected} bytes",
            got="no file" if size < 0 else f"{size} bytes",
            remedy=REPAIR,
        )
    index = layout.index(shard)
    with file.open("rb") as content:
        content.seek(layout.data_bytes(shard))
        found = content.read()
    if found == index:
        return True
    if layout.checksum(found[:-4]) != found[-4:]:
        raise DamagedError("the index of a shard is damaged", where=file, remedy=DISCARD)
    return False
