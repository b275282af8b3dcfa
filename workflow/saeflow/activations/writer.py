"""Write activations shard by shard; a shard counts once its commit record exists.

A shard is streamed to a temporary file, checked, hashed and flushed, then renamed; its commit
record is written last. So a killed run loses at most the shard it was writing, and the next one
continues after what is committed. Read `ShardWriter` first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import numpy as np
import xxhash
import zarr

from saeflow.activations.layout import ARRAY, Layout, create_array, shard_name
from saeflow.activations.sums import ShardSums
from saeflow.errors import DamagedError, StoreError
from saeflow.files import fsync_dir, read_json, write_json

FORMAT = "saeflow-activations-1"
_COMMITS = "_commit"
# An exponent of ones only is infinity or NaN.
_EXPONENTS = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F800000}
_CHECK_BYTES = 1 << 20


class ShardWriter:
    """Writes one hook's rows, in rising order, leaving out those of committed shards.

    Parameters
    ----------
    path
        Directory of the store; what an earlier run committed there is kept.
    layout
        Sizes of the array.
    where
        The hook, for messages.
    attributes
        Attributes of the store.

    Attributes
    ----------
    missing : set of int
        Shards that have no commit record yet.
    """

    def __init__(self, path: Path, layout: Layout, where: str, attributes: dict[str, Any]) -> None:
        self.path, self.layout, self.where = Path(path), layout, where
        self.array = self.path / ARRAY
        self._attributes = {"format": FORMAT, **attributes}
        if not (self.array / "zarr.json").exists():
            group = zarr.create_group(
                str(path), attributes={**self._attributes, "complete": False}, overwrite=True
            )
            create_array(group, layout)
        (self.path / _COMMITS).mkdir(exist_ok=True)
        _remove_debris(self.path)
        self.missing = {s for s in range(layout.n_shards) if not self._is_committed(s)}
        self._open: _OpenShard | None = None

    def wants(self, start: int, end: int) -> bool:
        """Return whether some of the rows ``start`` to ``end`` are missing."""
        size = self.layout.shard_rows
        return any(s in self.missing for s in range(start // size, -(-end // size)))

    @property
    def n_missing_rows(self) -> int:
        """Number of rows in the missing shards."""
        ranges = [self.layout.rows_of(shard) for shard in self.missing]
        return sum(end - start for start, end in ranges)

    def append(self, start: int, x: np.ndarray, excluded: np.ndarray) -> None:
        """Take rows of activations; those of committed shards are ignored.

        Parameters
        ----------
        start
            Number of the first row. Each missing shard must be given front to back.
        x : (n, d_model)
            In the dtype of the store (bfloat16 as uint16).
        excluded : (n,) bool
            Rows that the statistics leave out.

        Raises
        ------
        StoreError
            If a value is not finite, or rows are left out or out of order.
        """
        size = self.layout.shard_rows
        for shard in range(start // size, -(-(start + len(x)) // size)):
            if shard not in self.missing:
                continue
            first, end = self.layout.rows_of(shard)
            a, b = max(first, start) - start, min(end, start + len(x)) - start
            if self._open is None:
                self._open = _OpenShard(self.array, self.layout, shard)
            self._check_order(shard, start + a)
            self._check_finite(x[a:b], shard)
            self._open.write(x[a:b], excluded[a:b])
            if self._open.next_row == end:
                self._commit()

    def close(self) -> None:
        """Give up the shard in progress, if any."""
        if self._open is not None:
            self._open.abandon()
            self._open = None

    def finalise(self) -> dict[str, Any]:
        """Write the statistics and mark the store complete; every shard must be committed.

        Returns
        -------
        dict
            What the record says of the values: shards (hashes), n_included_rows, rms, mean_norm.
        """
        if self.missing:
            raise StoreError(
                "the store is not complete",
                where=f"{self.path} ({self.where})",
                expected=f"{self.layout.n_shards} shards",
                got=f"{len(self.missing)} missing, the first is {min(self.missing)}",
            )
        commits = [read_json(self._record(s)) for s in range(self.layout.n_shards)]
        sums = ShardSums.total(ShardSums.load(self._sums(s)) for s in range(self.layout.n_shards))
        group = zarr.open_group(str(self.path), mode="r+", use_consolidated=False)
        for name, values in (("mean", sums.mean), ("std", sums.std)):
            group.create_array(name, data=values.astype(np.float32), overwrite=True)
        group.update_attributes({"complete": True})
        return {
            "format": FORMAT,
            "d_model": self.layout.d_model,
            "n_rows": self.layout.n_rows,
            "dtype": self.layout.dtype,
            "n_included_rows": sums.n,
            "rms": sums.rms,
            "mean_norm": sums.mean_norm,
            "shards": [commit["xxh3_128"] for commit in commits],
        }

    def _commit(self) -> None:
        digest, sums = self._open.close()
        shard = self._open.shard
        sums.save(self._sums(shard))
        write_json(
            self._record(shard),
            {
                "rows": list(self.layout.rows_of(shard)),
                "file": f"{ARRAY}/{shard_name(shard)}",
                "bytes": self.layout.file_bytes(shard),
                "xxh3_128": digest,
            },
        )
        self.missing.remove(shard)
        self._open = None

    def _record(self, shard: int) -> Path:
        return self.path / _COMMITS / f"{shard:06d}.json"

    def _sums(self, shard: int) -> Path:
        return self.path / _COMMITS / f"{shard:06d}.sums"

    def _is_committed(self, shard: int) -> bool:
        """Return whether a shard has its record and its files have their sizes."""
        try:
            commit = read_json(self._record(shard))
            size = (self.path / commit["file"]).stat().st_size
        except (DamagedError, FileNotFoundError):
            return False
        return (
            size == commit["bytes"] == self.layout.file_bytes(shard) and self._sums(shard).is_file()
        )

    def _check_order(self, shard: int, row: int) -> None:
        if (self._open.shard, self._open.next_row) != (shard, row):
            raise StoreError(
                "rows of activations must come in order",
                where=self.where,
                expected=f"row {self._open.next_row} of shard {self._open.shard}",
                got=f"row {row} of shard {shard}",
            )

    def _check_finite(self, x: np.ndarray, shard: int) -> None:
        dtype = self.layout.dtype
        exponents = _EXPONENTS[dtype]
        bits = x.view(f"u{x.itemsize}")
        step = max(1, _CHECK_BYTES // self.layout.row_bytes)  # stay within the cache
        for i in range(0, len(bits), step):
            if ((bits[i : i + step] & exponents) == exponents).any():
                raise StoreError(
                    f"an activation is not a finite {dtype}",
                    where=f"{self.where}, shard {shard}",
                    expected="absolute values up to 65504" if dtype == "float16" else None,
                    remedy="Set activations.dtype to bfloat16 (or float32)."
                    if dtype == "float16"
                    else "The model itself gives infinity or NaN on this text.",
                )


class _OpenShard:
    """A shard while it is written, to a temporary file beside its place."""

    def __init__(self, array: Path, layout: Layout, shard: int) -> None:
        self.layout, self.shard = layout, shard
        self.next_row, _ = layout.rows_of(shard)
        self._final = array / shard_name(shard)
        self._final.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self._final.with_name(f"{self._final.name}.{os.getpid()}.tmp")
        self._file: IO[bytes] = self._temporary.open("wb", buffering=0)
        self._hash = xxhash.xxh3_128()
        self._sums = ShardSums.zero(layout)

    def write(self, x: np.ndarray, excluded: np.ndarray) -> None:
        self._write(memoryview(np.ascontiguousarray(x)).cast("B"))
        self._sums.add(x, excluded)
        self.next_row += len(x)

    def close(self) -> tuple[str, ShardSums]:
        """Pad, append the index, flush and give the file its name; return hash and sums."""
        start, end = self.layout.rows_of(self.shard)
        padding = self.layout.data_bytes(self.shard) - (end - start) * self.layout.row_bytes
        self._write(memoryview(bytes(padding)))
        self._write(memoryview(self.layout.index(self.shard)))
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self._final)
        fsync_dir(self._final.parent)
        return self._hash.hexdigest(), self._sums.close()

    def abandon(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _write(self, content: memoryview) -> None:
        self._hash.update(content)
        while content:
            content = content[self._file.write(content) :]


def _remove_debris(path: Path) -> None:
    """Remove what killed writers left: ours and Zarr's temporary files."""
    for pattern in ("*.tmp", "*.partial"):
        for file in path.rglob(pattern):
            file.unlink()
