"""Smaller copies of a store, to keep or to send: compressed without loss, or in eight bits.

An archive is one directory in plain Zarr that stands alone: the array, the row table, the
statistics, and verbatim all small files of the store, from which `restore` makes the same bytes
again and proves it by their hashes. `saeflow.activations.reader.open_store` opens it like a store;
since it cannot be mapped, reading is slow. Read `archive` first.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from saeflow.activations import int8
from saeflow.activations.array import Activations
from saeflow.activations.layout import ARRAY, FORMAT, Layout, create_array, read_layout, shard_name
from saeflow.activations.reader import ARCHIVE_FORMAT, Store, open_store
from saeflow.activations.slow import SlowRows
from saeflow.errors import DamagedError, SaeflowError, StoreError
from saeflow.files import (
    fsync_dir,
    naming_full_disk,
    read_json,
    sha256_text,
    write_atomic,
    write_json,
)
from saeflow.inventory import (
    CHECKSUM,
    INVENTORY,
    MANIFEST,
    altered_files,
    with_checksum,
    write_inventory,
)
from saeflow.locks import locked
from saeflow.work import sync_tree

CODECS = ("zstd", "blosc", "int8")
ORIGINAL = "original"
"""The small files of the store, below an archive of it."""

_ROWS = "rows"
_ZSTD_LEVEL, _BLOSC_LEVEL = 3, 5


def archive(
    store: Store, destination: Path, codec: str, told: Callable[[int], object] = lambda _n: None
) -> dict[str, Any]:
    """Write an archive of an open store and return its manifest.

    If the destination exists, or the store is an archive or live, that is a `StoreError`.

    Parameters
    ----------
    destination
        The directory to make; its name ends with ``.zarr`` by custom.
    codec
        zstd or blosc lose nothing. int8 halves a 16-bit store at a small error, see
        `saeflow.activations.int8`.
    told
        Given the number of rows after each part.
    """
    if codec not in CODECS:
        raise StoreError("there is no such codec", expected=" | ".join(CODECS), got=codec)
    if store.record["format"] != FORMAT:
        raise StoreError(
            "this is an archive already, or live activations, of which nothing is stored",
            where=store.path,
            expected=FORMAT,
            got=store.record["format"],
        )
    with whole_or_absent(Path(destination)) as path, naming_full_disk(path):
        _copy_small_files(store.path, path / ORIGINAL)
        shutil.copytree(store.rows.path, path / _ROWS)
        group = zarr.create_group(
            str(path), attributes={"format": ARCHIVE_FORMAT, "codec": codec, "complete": False}
        )
        for name in ("mean", "std"):
            shutil.copytree(store.path / name, path / name)
        layout, _ = read_layout(store.path / ARRAY)
        write = _write_int8 if codec == "int8" else _write_lossless
        facts = write(store, group, layout, codec, told)
        group.update_attributes({"complete": True})
        manifest = _manifest(store, codec, facts)
        manifest = with_checksum({**manifest, "inventory": write_inventory(path)})
        write_json(path / MANIFEST, manifest)
    return manifest


@contextmanager
def whole_or_absent(destination: Path) -> Iterator[Path]:
    """Give a directory to write to, which gets its name once it is complete.

    What an earlier try left is removed, and after an error what this one did; a ``destination``
    that exists is a `StoreError`.
    """
    if destination.exists():
        raise StoreError(
            "this exists already",
            where=destination,
            remedy="Choose another place, or delete it first.",
        )
    partial = destination.with_name(f"{destination.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_tree(partial)
    partial.replace(destination)
    fsync_dir(destination.parent)


def open_archived(path: Path, record: dict[str, Any]) -> Activations:
    """Return the rows of an archive; what is asked for is decoded."""
    values = int8.Values(path) if record["dtype"] == "int8" else lambda x, _start: x
    rows = SlowRows(path / ARRAY, values)
    return Activations(rows.shape, record["values"], rows.chunk_rows, None, rows, path=path / ARRAY)


def _manifest(store: Store, codec: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest: the record of the store, but for what is not so any more."""
    dropped = ("bulk", "inventory", CHECKSUM, "needs", "identity", "format", "rows", "dtype")
    same = {name: value for name, value in store.record.items() if name not in dropped}
    original = store.record["identity"]
    lossless = codec != "int8"
    return {
        **same,
        "format": ARCHIVE_FORMAT,
        "identity": sha256_text(f"{ARCHIVE_FORMAT} {codec} {original}"),
        "dtype": store.record["dtype"] if lossless else "int8",
        "values": store.record["dtype"] if lossless else "float32",
        "rows": _ROWS,
        "archive": {
            "codec": codec,
            "lossless": lossless,
            "of": original,
            "of_dtype": store.record["dtype"],
            **facts,
        },
    }


def _copy_small_files(source: Path, destination: Path) -> None:
    """Copy a store but for its shards."""

    def shards(directory: str, names: list[str]) -> list[str]:
        return ["c"] if Path(directory) == source / ARRAY and "c" in names else []

    shutil.copytree(source, destination, ignore=shards)
    for name in (MANIFEST, INVENTORY):
        if not (destination / name).is_file():
            raise SaeflowError(
                "the store is unfinished",
                where=source,
                remedy="Run the workflow again: it goes on with it.",
            )


def _write_lossless(
    store: Store, group: zarr.Group, layout: Layout, codec: str, told: Callable[[int], object]
) -> dict[str, Any]:
    size = layout.storage.itemsize
    compressor = {
        "zstd": zarr.codecs.ZstdCodec(level=_ZSTD_LEVEL, checksum=True),
        "blosc": zarr.codecs.BloscCodec(
            cname="zstd", clevel=_BLOSC_LEVEL, shuffle="shuffle", typesize=size
        ),
    }[codec]
    array = create_array(group, layout, compressor=compressor)
    for start, end in map(layout.rows_of, range(layout.n_shards)):
        array[start:end] = store.activations.raw(slice(start, end))
        told(end - start)
    return {}


def _write_int8(
    store: Store, group: zarr.Group, layout: Layout, _codec: str, told: Callable[[int], object]
) -> dict[str, Any]:
    quantiser = int8.Quantiser(store.mean, store.std)
    compressor = zarr.codecs.ZstdCodec(level=1, checksum=True)
    array = create_array(group, layout, np.dtype("int8"), compressor)
    scales = group.create_array(
        int8.SCALE, shape=(layout.n_rows,), chunks=(layout.shard_rows,), dtype="float32"
    )
    for start, end in map(layout.rows_of, range(layout.n_shards)):
        x = store.activations.tensor(slice(start, end)).numpy()
        array[start:end], scales[start:end] = quantiser.quantise(x, store.rows.flags[start:end])
        told(end - start)
    return {"nmse": quantiser.nmse}


def restore(
    source: Path, destination: Path, told: Callable[[int], object] = lambda _n: None
) -> Path:
    """Make the store that was archived without loss, the same bytes, and return its record.

    The record, the store and its row table are put into ``destination``. If the archive lost
    something when it was made, or the store is there already, that is a `StoreError`, and a
    `DamagedError` if what was made differs from the original's hashes. ``told``: as of `archive`.
    """
    store = open_store(source)
    facts: dict[str, Any] = store.record.get("archive", {})
    if store.record["format"] != ARCHIVE_FORMAT or not facts.get("lossless"):
        raise StoreError(
            "only an archive that lost nothing can be restored",
            where=store.path,
            expected="codec zstd or blosc",
            got=f"codec {facts['codec']}" if facts else "a store that is no archive",
        )
    original = read_json(store.path / ORIGINAL / MANIFEST)
    record = Path(destination) / f"{original['hook']}.json"
    with locked(record):
        with locked(record.with_name("rows.json")):
            rows = record.parent / original["rows"]
            if not rows.exists():  # another hook's store may have brought it here
                with whole_or_absent(rows) as path:
                    shutil.copytree(store.rows.path, path, dirs_exist_ok=True)
            _check_restored(rows)
        with whole_or_absent(record.parent / original["bulk"]) as path, naming_full_disk(path):
            shutil.copytree(store.path / ORIGINAL, path, dirs_exist_ok=True)
            layout, _ = read_layout(path / ARRAY)
            for shard in range(layout.n_shards):
                told(_write_shard(store, path / ARRAY / shard_name(shard), layout, shard))
            _check_restored(path)
        write_atomic(record, (record.parent / original["bulk"] / MANIFEST).read_bytes())
    return record


def _write_shard(store: Store, file: Path, layout: Layout, shard: int) -> int:
    start, end = layout.rows_of(shard)
    file.parent.mkdir(parents=True)
    padding = layout.data_bytes(shard) - (end - start) * layout.row_bytes
    with file.open("wb") as out:
        out.write(store.activations.raw(slice(start, end)).astype(layout.storage, copy=False).data)
        out.write(bytes(padding))
        out.write(layout.index(shard))
    return end - start


def _check_restored(path: Path) -> None:
    """Raise a `DamagedError` unless every file has the hash of the original."""
    for damage in altered_files(path):
        raise DamagedError(
            "what was restored is not what was archived",
            where=damage.path,
            got=damage.what,
            remedy="The archive is damaged: `saeflow verify` on it names the file.",
        )
