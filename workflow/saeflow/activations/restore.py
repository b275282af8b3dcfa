"""Make a store anew from an archive that lost nothing, and prove it by the original's hashes.

Read `restore`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saeflow.activations.archive import ORIGINAL, whole_or_absent
from saeflow.activations.layout import ARRAY, Layout, read_layout, shard_name
from saeflow.activations.reader import ARCHIVE_FORMAT, Store, open_store
from saeflow.errors import DamagedError, StoreError
from saeflow.files import naming_full_disk, read_json, write_atomic
from saeflow.inventory import MANIFEST, altered_files
from saeflow.locks import locked

_ROWS = "rows.json"


def restore(
    source: Path, destination: Path, told: Callable[[int], object] = lambda _n: None
) -> Path:
    """Make the store that was archived without loss, the same bytes, and return its record.

    Parameters
    ----------
    source, destination
        The archive, and the directory to put the record, the store and its row table into.
    told
        Given the number of rows after each part.

    Raises
    ------
    StoreError
        If the archive lost something when it was made, or the store is there already.
    DamagedError
        If the archive is damaged, or what was made differs from the original's hashes.
    """
    store = open_store(source)
    _check_lossless(store)
    original = read_json(store.path / ORIGINAL / MANIFEST)
    record = Path(destination) / f"{original['hook']}.json"
    with locked(record):
        with locked(record.with_name(_ROWS)):
            _restore_rows(store, record.parent / original["rows"])
        with whole_or_absent(record.parent / original["bulk"]) as path, naming_full_disk(path):
            shutil.copytree(store.path / ORIGINAL, path, dirs_exist_ok=True)
            layout, _ = read_layout(path / ARRAY)
            for shard in range(layout.n_shards):
                told(_write_shard(store, path / ARRAY / shard_name(shard), layout, shard))
            _check(path)
        write_atomic(record, (record.parent / original["bulk"] / MANIFEST).read_bytes())
    return record


def _check_lossless(store: Store) -> None:
    facts: dict[str, Any] = store.record.get("archive", {})
    if store.record["format"] != ARCHIVE_FORMAT or not facts.get("lossless"):
        raise StoreError(
            "only an archive that lost nothing can be restored",
            where=store.path,
            expected="codec zstd or blosc",
            got=f"codec {facts['codec']}" if facts else "a store that is no archive",
        )


def _restore_rows(store: Store, destination: Path) -> None:
    """Copy the row table, unless another hook's store brought it here."""
    if not destination.exists():
        with whole_or_absent(destination) as path:
            shutil.copytree(store.rows.path, path, dirs_exist_ok=True)
    _check(destination)


def _write_shard(store: Store, file: Path, layout: Layout, shard: int) -> int:
    start, end = layout.rows_of(shard)
    file.parent.mkdir(parents=True)
    padding = layout.data_bytes(shard) - (end - start) * layout.row_bytes
    with file.open("wb") as out:
        out.write(store.activations.raw(slice(start, end)).astype(layout.storage, copy=False).data)
        out.write(bytes(padding))
        out.write(layout.index(shard))
    return end - start


def _check(path: Path) -> None:
    """Raise a `DamagedError` unless every file has the hash of the original."""
    for damage in altered_files(path):
        raise DamagedError(
            "what was restored is not what was archived",
            where=damage.path,
            got=damage.what,
            remedy="The archive is damaged: `saeflow verify` on it names the file.",
        )
