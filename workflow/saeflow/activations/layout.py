"""The byte layout of stored activations: plain Zarr v3, and mappable as one matrix.

An array is sharded along rows only, uncompressed, with every inner chunk present and the shard's
index at its end. Such a shard *is* a C-order matrix followed by an index, so all shards can be
mapped back to back; any Zarr reader opens it as well. bfloat16, which Zarr does not know, is
stored as its bits in uint16, and the attribute ``logical_dtype`` says so. Read `Layout` first.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import zarr

from saeflow.errors import ConfigError, StoreError
from saeflow.files import read_json

FORMAT = "saeflow-activations-1"
STORAGE = {"float16": "float16", "bfloat16": "uint16", "float32": "float32"}
ARRAY = "activations"
COMMITS = "_commit"
"""The directory of commit records in a store."""

# An inner chunk of 2 MiB at most is read quickly from any disk; 64 of them make a shard, 256 in
# a large store, which keeps the number of mappings below Linux' default limit of 65,530.
_INNER_BYTES = 1 << 21
_MIN_INNER_ROWS = 256
_SHARD_INNERS, _LARGE_SHARD_INNERS, _LARGE_ROWS = 64, 256, 100_000_000
_ABSENT = np.uint64(2**64 - 1)


class Layout(NamedTuple):
    """Sizes of one array of activations.

    Attributes
    ----------
    n_rows, d_model : int
        Its shape.
    dtype : str
        What the values mean: float16, bfloat16 or float32.
    inner_rows, shard_rows : int
        Rows of an inner chunk and of a shard.
    """

    n_rows: int
    d_model: int
    dtype: str
    inner_rows: int
    shard_rows: int

    @property
    def storage(self) -> np.dtype:
        """The dtype on disk."""
        return np.dtype(STORAGE[self.dtype]).newbyteorder("<")

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.d_model * self.storage.itemsize

    @property
    def n_shards(self) -> int:
        """Number of shards; only the last one may be short."""
        return -(-self.n_rows // self.shard_rows)

    def rows_of(self, shard: int) -> tuple[int, int]:
        """Return the first row of a shard and the one after its last."""
        start = shard * self.shard_rows
        return start, min(start + self.shard_rows, self.n_rows)

    def data_bytes(self, shard: int) -> int:
        """Return the bytes of a shard before its index: whole inner chunks."""
        start, end = self.rows_of(shard)
        return -(-(end - start) // self.inner_rows) * self.inner_rows * self.row_bytes

    def index(self, shard: int) -> bytes:
        """Return the index that ends a shard: offset and size of each inner chunk, and a crc32c."""
        chunk_bytes = self.inner_rows * self.row_bytes
        n = self.data_bytes(shard) // chunk_bytes
        index = np.full((self.shard_rows // self.inner_rows, 2), _ABSENT, dtype="<u8")
        index[:n, 0] = np.arange(n, dtype=np.uint64) * np.uint64(chunk_bytes)
        index[:n, 1] = chunk_bytes
        content = index.tobytes()
        return content + self.checksum(content)

    @staticmethod
    def checksum(index: bytes) -> bytes:
        """Return the crc32c that follows the entries of an index."""
        return struct.pack("<I", google_crc32c.value(index))

    def file_bytes(self, shard: int) -> int:
        """Return the size of a shard's file."""
        return self.data_bytes(shard) + 16 * (self.shard_rows // self.inner_rows) + 4


def shard_name(shard: int) -> str:
    """Return the path of a shard below the array's directory."""
    return f"c/{shard}/0"


def commit_path(store: Path, shard: int) -> Path:
    """Return the file whose presence says that a shard was written and flushed."""
    return store / COMMITS / f"{shard:06d}.json"


def shards_of(part: int, of: int, n_shards: int) -> range:
    """Return the shards of a part (from 1): contiguous, and all parts together each once."""
    return range(n_shards * (part - 1) // of, n_shards * part // of)


def plan_layout(n_rows: int, d_model: int, dtype: str, shard_rows: int | None = None) -> Layout:
    """Choose the sizes of an array.

    Rows of a shard must be a power of two, by default such that it has at most 128 MiB (512 MiB
    from 1e8 rows on).
    """
    row_bytes = d_model * np.dtype(STORAGE[dtype]).itemsize
    most = _INNER_BYTES // row_bytes
    inner = max(_MIN_INNER_ROWS, 1 << max(0, most.bit_length() - 1))  # a power of two
    while inner > _MIN_INNER_ROWS and inner >= 2 * n_rows:
        inner //= 2  # a small store is not padded to a large chunk
    if shard_rows is None:
        shard_rows = inner * (_SHARD_INNERS if n_rows < _LARGE_ROWS else _LARGE_SHARD_INNERS)
    elif shard_rows < 1 or shard_rows & (shard_rows - 1):
        raise ConfigError(
            "this is no power of two",
            where="activations > shard_rows",
            expected="a power of two, or null",
            got=shard_rows,
        )
    return Layout(n_rows, d_model, dtype, min(inner, shard_rows), shard_rows)


def create_array(
    group: zarr.Group, layout: Layout, dtype: np.dtype | None = None, compressor: Any = None
) -> zarr.Array:
    """Create the array of activations, without values, in a group.

    Another dtype than the layout's is of numbers that stand for the values, and the compressor a
    codec of Zarr, or None for a store that can be mapped.
    """
    return group.create_array(
        ARRAY,
        shape=(layout.n_rows, layout.d_model),
        chunks=(layout.inner_rows, layout.d_model),
        shards=(layout.shard_rows, layout.d_model),
        dtype=dtype or layout.storage,
        compressors=compressor and [compressor],
        filters=None,
        fill_value=0,
        attributes={} if dtype else {"logical_dtype": layout.dtype},
        config={"write_empty_chunks": True},
    )


def read_layout(array: Path) -> tuple[Layout | None, str]:
    """Return the layout of an array's directory and "", or None and why it cannot be mapped."""
    facts = read_json(array / "zarr.json")
    if facts.get("zarr_format") != 3 or len(facts.get("shape", ())) != 2:
        raise StoreError(
            "this is no array of activations",
            where=array,
            expected="an array of two dimensions in Zarr's third format",
            got=f"format {facts.get('zarr_format')}, shape {facts.get('shape')}",
        )
    n_rows, d_model = facts["shape"]
    codec = facts["codecs"][0]
    if reason := _unmappable(facts, codec, d_model):
        return None, reason
    dtype = facts["attributes"].get("logical_dtype", facts["data_type"])
    shard_rows = facts["chunk_grid"]["configuration"]["chunk_shape"][0]
    inner_rows = codec["configuration"]["chunk_shape"][0]
    return Layout(n_rows, d_model, dtype, inner_rows, shard_rows), ""


def _unmappable(facts: dict[str, Any], codec: dict[str, Any], d_model: int) -> str:
    """Return why shards of this metadata are not matrices, or ""."""
    if len(facts["codecs"]) != 1 or codec["name"] != "sharding_indexed":
        return "it is not sharded"
    settings = codec["configuration"]
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    if settings["codecs"] != [little]:
        return "it is compressed"
    if settings.get("index_location", "end") != "end":
        return "the shards begin with their index"
    if [c["name"] for c in settings["index_codecs"]] != ["bytes", "crc32c"]:
        return "the shards' index has unknown codecs"
    widths = facts["chunk_grid"]["configuration"]["chunk_shape"][1], settings["chunk_shape"][1]
    if widths != (d_model, d_model):
        return "its chunks divide the rows"
    keys = facts["chunk_key_encoding"]
    if keys["name"] != "default" or keys.get("configuration", {}).get("separator", "/") != "/":
        return "its files are named otherwise"
    return ""
