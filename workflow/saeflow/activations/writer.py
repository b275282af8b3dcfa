"""Write activations shard by shard; a shard counts once its commit record exists.

A shard is streamed to a temporary file, checked, hashed and flushed, then renamed; its commit
record is written last. So a killed run loses at most the shard it was writing, and the next one
continues after what is committed. Read `ShardWriter` first.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from saeflow.activations.layout import (
    ARRAY,
    COMMITS,
    FORMAT,
    Layout,
    commit_path,
    create_array,
    shard_name,
)
from saeflow.activations.shard import OpenShard
from saeflow.activations.sums import ShardSums
from saeflow.activations.values import not_finite
from saeflow.errors import DamagedError, SaeflowError, StoreError
from saeflow.files import naming_full_disk, read_json, read_object, write_atomic, write_json
from saeflow.inventory import hash_file

logger = logging.getLogger(__name__)

# An exponent of ones only is infinity or NaN.
_EXPONENTS = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F800000}
_CHECK_BYTES = 1 << 20
_METADATA = ("zarr.json", f"{ARRAY}/zarr.json")


class ShardWriter:
    """Writes one hook's rows, in rising order, leaving out those of committed shards.

    Parameters
    ----------
    path, layout
        Directory of the store, and sizes of its array; what an earlier run committed is kept.
    where
        The hook, for messages.
    attributes
        As of `write_metadata`.
    shards : range
        The shards to write, where other processes write the others at the same time; all by
        default.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        where: str,
        attributes: dict[str, Any],
        shards: range | None = None,
    ) -> None:
        self.path, self.layout, self.where = Path(path), layout, where
        self.array = self.path / ARRAY
        write_metadata(self.path, layout, attributes)
        (self.path / COMMITS).mkdir(exist_ok=True)
        self.shards = range(layout.n_shards) if shards is None else shards
        _remove_debris(self.path, shards)
        self._missing = {s for s in self.shards if not self._is_committed(s)}
        self._open: OpenShard | None = None
        # One thread sums while this one writes, another waits for the disk behind both.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="shard")
        self._committing: tuple[int, Future[None]] | None = None

    @property
    def missing(self) -> set[int]:
        """Those of its shards that have no commit record yet."""
        self._settle()
        return self._missing

    @property
    def unwritten(self) -> set[int]:
        """Shards of the store that have no commit record yet, whoever shall write them."""
        others = set(range(self.layout.n_shards)).difference(self.shards)
        return self.missing | {shard for shard in others if not self._is_committed(shard)}

    def wants(self, start: int, end: int) -> bool:
        """Return whether some of the rows ``start`` to ``end`` are missing."""
        size = self.layout.shard_rows
        return any(s in self._missing for s in range(start // size, -(-end // size)))

    def begun_bytes(self, shard: int) -> int:
        """Return what another process has written of a shard that has no name yet."""
        n_bytes = 0
        for file in (self.array / shard_name(shard)).parent.glob("*.tmp"):
            with suppress(FileNotFoundError):  # it has its name by now
                n_bytes += file.stat().st_size
        return n_bytes

    def append(self, start: int, x: np.ndarray, excluded: np.ndarray) -> None:
        """Take rows of activations from ``start`` on; those of committed shards are ignored.

        Each missing shard must be given front to back; else, or if a value is not finite, that is
        a `StoreError`. ``x`` (n, d_model) is in the dtype of the store (bfloat16 as uint16), and
        the statistics leave out the rows that are ``excluded`` (n,).
        """
        size = self.layout.shard_rows
        for shard in range(start // size, -(-(start + len(x)) // size)):
            if shard not in self._missing:
                continue
            first, end = self.layout.rows_of(shard)
            a, b = max(first, start) - start, min(end, start + len(x)) - start
            if self._open is None:
                self._open = OpenShard(self.array, self.layout, shard)
            self._check_order(shard, start + a)
            summed = self._pool.submit(self._open.add, x[a:b], excluded[a:b])
            try:
                self._check_finite(x[a:b], shard)
                self._open.write(x[a:b])
            finally:
                summed.result()
            if self._open.next_row == end:
                self._commit()

    def close(self) -> None:
        """Give up the shard in progress, if any; what waits for the disk is still committed."""
        if self._open is not None:
            self._open.abandon()
            self._open = None
        try:
            self._settle()
        except (SaeflowError, OSError) as error:
            logger.error("%s", error)
        self._pool.shutdown()

    def finalise(self) -> dict[str, Any]:
        """Write the statistics and mark the store complete; return what the record says of them.

        Every shard must be committed.
        """
        if self.missing:
            raise StoreError(
                "the store is not complete",
                where=f"{self.path} ({self.where})",
                expected=f"{self.layout.n_shards} shards",
                got=f"{len(self.missing)} missing, the first is {min(self.missing)}",
            )
        sums = ShardSums.total(ShardSums.load(self._sums(s)) for s in range(self.layout.n_shards))
        with naming_full_disk(self.path):
            group = zarr.open_group(str(self.path), mode="r+", use_consolidated=False)
            facts = sums.describe(group, self.layout)
            group.update_attributes({"complete": True})
        return {"format": FORMAT, **facts}

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of each committed shard's file, by its path in the store."""
        committed = (s for s in range(self.layout.n_shards) if s not in self.missing)
        commits = (read_json(commit_path(self.path, shard)) for shard in committed)
        return {commit["file"]: commit["xxh3_128"] for commit in commits}

    def _commit(self) -> None:
        """Let a thread flush the full shard and write its record, and go on with the next one."""
        self._settle()
        opened, self._open = self._open, None
        self._missing.remove(opened.shard)
        self._committing = opened.shard, self._pool.submit(self._flush, opened)

    def _settle(self) -> None:
        """Wait until the shard before is committed; where that failed, it is missing again."""
        if self._committing is None:
            return
        (shard, done), self._committing = self._committing, None
        try:
            done.result()
        except BaseException:
            self._missing.add(shard)
            raise

    def _flush(self, opened: OpenShard) -> None:
        shard = opened.shard
        try:
            digest, sums = opened.close()
        except BaseException:
            opened.abandon()
            raise
        sums.save(self._sums(shard))
        write_json(
            commit_path(self.path, shard),
            {
                "rows": list(self.layout.rows_of(shard)),
                "file": f"{ARRAY}/{shard_name(shard)}",
                "bytes": self.layout.file_bytes(shard),
                "xxh3_128": digest,
                "sums_xxh3_128": hash_file(self._sums(shard)),
            },
        )

    def _sums(self, shard: int) -> Path:
        return commit_path(self.path, shard).with_suffix(".sums")

    def _is_committed(self, shard: int) -> bool:
        """Return whether a shard has its record and its files have their sizes."""
        try:
            commit = read_json(commit_path(self.path, shard))
            size = (self.path / commit["file"]).stat().st_size
            sums = hash_file(self._sums(shard))
            expected = commit["bytes"], commit["sums_xxh3_128"]
        except (DamagedError, FileNotFoundError, KeyError, TypeError):
            return False
        return (size, sums) == expected and size == self.layout.file_bytes(shard)

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
        magnitude = bits.dtype.type(np.iinfo(bits.dtype).max >> 1)
        step = max(1, _CHECK_BYTES // self.layout.row_bytes)  # stay within the cache
        for i in range(0, len(bits), step):
            part = bits[i : i + step] & magnitude
            if part.max() >= exponents:
                row, column = np.argwhere(part >= exponents)[0]
                place = f"row {self._open.next_row + i + row}, dimension {column}"
                raise not_finite(
                    dtype,
                    f"{self.where}, shard {shard}, {place}",
                    "absolute values up to 65504" if dtype == "float16" else None,
                )


def _remove_debris(path: Path, shards: range | None) -> None:
    """Remove what killed writers left, of these shards or all: ours and Zarr's temporary files."""
    if shards is None:
        left = [*path.rglob("*.tmp"), *path.rglob("*.partial")]
    else:
        left = [
            file
            for shard in shards
            for file in (
                *(path / ARRAY / shard_name(shard)).parent.glob("*.tmp"),
                *(path / COMMITS).glob(f".{shard:06d}.*.tmp"),
            )
        ]
    for file in left:
        file.unlink()


def write_metadata(path: Path, layout: Layout, attributes: Mapping[str, Any]) -> None:
    """Write the metadata of an incomplete store and its array; values are left alone.

    Anew whenever work on a store begins or goes on, so that damaged metadata mend themselves.
    ``attributes`` of the group say where the activations come from. A directory that holds a
    store of something else is a `StoreError`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        own = {"format": FORMAT, **attributes, "complete": False}
        group = zarr.create_group(scratch, attributes=own)
        create_array(group, layout)
        contents = {name: (Path(scratch) / name).read_bytes() for name in _METADATA}
    for name, content in contents.items():
        found = read_object(path / name)
        if found:
            _check_same(path / name, found, json.loads(content))
        if found != json.loads(content):
            with naming_full_disk(path / name):
                write_atomic(path / name, content)


def _check_same(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse metadata of a store of another model, dataset, dtype or shape."""
    was, wanted = ({**facts, **facts.get("attributes", {})} for facts in (found, expected))
    ignored = ("attributes", "complete", "released", "consolidated_metadata")
    differing = [key for key in sorted({*was, *wanted}) if was.get(key) != wanted.get(key)]
    differing = [key for key in differing if key not in ignored]
    if differing:
        raise StoreError(
            "a store of something else lies in this place",
            where=path,
            expected=", ".join(f"{key} {wanted.get(key)}" for key in differing),
            got=", ".join(f"{key} {was.get(key)}" for key in differing),
            remedy=f"Delete {path.parent} and run the workflow again.",
        )
