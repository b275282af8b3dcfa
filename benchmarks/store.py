"""How fast a store of activations is written, read in order and verified."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, ratio
from saeflow.activations.array import open_array
from saeflow.activations.layout import ARRAY, Layout, plan_layout, shard_name
from saeflow.activations.writer import ShardWriter
from saeflow.inventory import altered_files
from saeflow.work import Work, hold

D_MODEL = 512
N_ROWS = 6 * 131_072  # six shards of 128 MiB
_BLOCK_ROWS = 8_192
_READ_BYTES = 1 << 20


def figures() -> Iterator[Figure]:
    """Yield speeds as shares of the plain way to do the same with the same bytes."""
    place = Path(tempfile.mkdtemp(prefix="saeflow-bench-"))
    try:
        x = _rows()
        layout = plan_layout(N_ROWS, D_MODEL, "float16")
        slower = ratio(lambda: _write(place, layout, x), lambda: _write_plain(place, layout, x))
        yield Figure("write, all checks and hashes on, / plain write + fsync", 1 / slower, 0.6)
        bulk = _write(place, layout, x).final
        yield from _reading(bulk, layout)
    finally:
        shutil.rmtree(place)


def _reading(bulk: Path, layout: Layout) -> Iterator[Figure]:
    rows = open_array(bulk)
    out = np.empty((_BLOCK_ROWS, D_MODEL), np.float16)

    def read() -> None:
        for start in range(0, N_ROWS, _BLOCK_ROWS):
            rows.read_into(start, out)

    shape = (layout.shard_rows, D_MODEL)
    files = [bulk / ARRAY / shard_name(shard) for shard in range(layout.n_shards)]
    maps = [np.memmap(file, np.float16, "r", shape=shape) for file in files]

    def copy() -> None:
        for mapped in maps:
            for start in range(0, len(mapped), _BLOCK_ROWS):
                np.copyto(out, mapped[start : start + _BLOCK_ROWS])

    slower = ratio(read, copy)
    yield Figure("read in order into a buffer / np.memmap copy", 1 / slower, 0.95)
    slower = ratio(lambda: list(altered_files(bulk)), lambda: _read_plain(files))
    yield Figure("verify / plain read", 1 / slower, 0.5)


def _rows() -> np.ndarray:
    """Return a block of a residual stream's kind, (block, d) float16."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((_BLOCK_ROWS, D_MODEL), dtype=np.float32)
    return (x * np.geomspace(0.1, 10, D_MODEL)).astype(np.float16)


def _write(place: Path, layout: Layout, x: np.ndarray) -> Work:
    """Write a store as the harvest does, from the first row to the record."""
    shutil.rmtree(place / "store", ignore_errors=True)
    excluded = np.arange(len(x)) % 256 == 0
    with hold(place / "store" / "resid_post.0.json", "0" * 64, ".zarr") as work:
        writer = ShardWriter(work.path, layout, "resid_post.0", {})
        for start in range(0, layout.n_rows, len(x)):
            writer.append(start, x, excluded)
        work.finish(writer.finalise(), known=writer.hashes)
        work.publish()
    return work


def _write_plain(place: Path, layout: Layout, x: np.ndarray) -> None:
    """Write the same bytes to files of the same size."""
    shutil.rmtree(place / "plain", ignore_errors=True)
    (place / "plain").mkdir()
    for shard in range(layout.n_shards):
        start, end = layout.rows_of(shard)
        with (place / "plain" / str(shard)).open("wb", buffering=0) as file:
            for _ in range(start, end, len(x)):
                file.write(x)
            os.fsync(file.fileno())


def _read_plain(files: list[Path]) -> None:
    buffer = bytearray(_READ_BYTES)
    for file in files:
        with file.open("rb", buffering=0) as content:
            while content.readinto(buffer):
                pass
