"""How fast batches for training come from a store, and how well they are mixed."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.figure import REPEATS, Figure, seconds
from benchmarks.sae import Stepper
from saeflow.activations.layout import plan_layout
from saeflow.activations.loader import Loader
from saeflow.activations.mixing import measure, predict
from saeflow.activations.order import Order
from saeflow.activations.reader import Store, open_store
from saeflow.activations.rows import COLUMNS
from saeflow.activations.values import bits
from saeflow.activations.writer import ShardWriter
from saeflow.tokens.columns import ColumnWriter
from saeflow.tokens.flags import flags_of
from saeflow.tokens.store import DTYPES
from saeflow.work import hold

D_MODEL, BATCH = 512, 4096
N_ROWS = 14 * 131_072  # 14 shards of 128 MiB: 1.9 GB
LENGTH = 256
WINDOWS = tuple(1 << power for power in (16, 17, 18, 19, 20))
_STEPS = 12
_BLOCK_ROWS = 8_192


def figures() -> Iterator[Figure]:
    """Yield speeds as shares of a gather from all rows at once, and what a batch mixes."""
    torch.set_num_threads(1)
    place = Path(tempfile.mkdtemp(prefix="saeflow-bench-"))
    try:
        record = _make_store(place)
        yield from _speeds(record)
        yield _share(record)
        with open_store(record) as store:
            for window_rows in WINDOWS:
                yield from _mixing(store, window_rows)
    finally:
        shutil.rmtree(place)


def _speeds(record: Path) -> Iterator[Figure]:
    """Time whole epochs, each time from a mapping of their own, and the ceiling between them."""
    with open_store(record) as whole:
        gather = _Gather(whole)
        gather.run()  # every page is mapped now
        found = [_epochs(record, gather) for _ in range(REPEATS)]
    names = ("first epoch", "later epochs", "later epochs, as float32")
    for name, target, ratios in zip(names, (0.8, 1.0, None), zip(*found, strict=True), strict=True):
        text = f"random batches of {BATCH} rows, {name} / global gather"
        yield Figure(text, statistics.median(ratios), target)


class _Gather:
    """The ceiling: rows from anywhere in the mapped store into a given buffer."""

    def __init__(self, store: Store) -> None:
        self._rows = bits(store.activations.raw(slice(None)))
        self._out = torch.empty(BATCH, D_MODEL, dtype=torch.int16)
        order = torch.randperm(len(self._rows), generator=torch.Generator().manual_seed(0))
        self._batches = order[: len(order) // BATCH * BATCH].view(-1, BATCH)
        self.n_batches = len(self._batches)

    def run(self) -> None:
        for batch in self._batches:
            torch.index_select(self._rows, 0, batch, out=self._out)


def _epochs(record: Path, gather: _Gather) -> tuple[float, float, float]:
    """Return the speed of a first epoch, of a later one and of one in float32, as shares."""
    with open_store(record) as store:
        loader = Loader(store, "train", batch_size=BATCH, seed=0, epochs=3)
        n = len(loader) // 3
        batches = loader.stored_batches()
        first, later = (_share_of(gather, batches, n) for _ in range(2))
        batches.close()
        loader = Loader(store, "train", batch_size=BATCH, seed=1, epochs=3)
        values = iter(loader)
        for _ in range(n):
            next(values)
        wide = _share_of(gather, values, n)
        values.close()
    return first, later, wide


def _share_of(gather: _Gather, batches: Iterator[torch.Tensor], n: int) -> float:
    """Return the speed of the next ``n`` batches, gathers of as many before and after."""
    before = seconds(gather.run)
    ours = seconds(lambda: [len(next(batches)) for _ in range(n)])
    ceiling = statistics.mean([before, seconds(gather.run)])
    return (ceiling / gather.n_batches) / (ours / n)


def _share(record: Path) -> Figure:
    """Measure how much of a training's time passes before the next batch is there."""
    stepper, shares = Stepper("topk", {"k": 32}), []
    with open_store(record) as store:
        for seed in range(REPEATS):
            waited = trained = 0.0
            batches = iter(Loader(store, "train", batch_size=BATCH, seed=seed))
            for _ in range(_STEPS):
                start = time.perf_counter()
                stepper.x = next(batches)
                ready = time.perf_counter()
                stepper.step()
                waited, trained = waited + ready - start, trained + time.perf_counter() - ready
            batches.close()
            shares.append(waited / (waited + trained))
    name = "loader's share of a training step, topk, k 32, d_sae 4096"
    return Figure(name, statistics.median(shares), 0.05, at_least=False)


def _mixing(store: Store, window_rows: int) -> Iterator[Figure]:
    order = Order(store, "train", seed=0, window_rows=window_rows)
    expected = predict(order, BATCH)
    memory = (expected.page_cache_bytes + expected.own_bytes) / 2**20
    name = f"other rows of a document in a batch, windows of {window_rows} rows ({memory:.0f} MiB)"
    yield Figure(f"{name}, measured", measure(order, BATCH), None, False, "rows")
    yield Figure(f"{name}, predicted", expected.mates, None, False, "rows")


def _make_store(place: Path) -> Path:
    """Write a store of documents of `LENGTH` tokens, the first of which is special."""
    with hold(place / "rows.json", "1" * 64, ".zarr") as work:
        writer = ColumnWriter(work.path, {name: DTYPES[name] for name in COLUMNS}, {})
        rows = np.arange(N_ROWS)
        token_id = (rows % LENGTH).astype(np.uint32)
        flags = flags_of(token_id, bos_id=0, eos_id=None, special_ids=[0])
        writer.append(
            token_id=token_id,
            document=(rows // LENGTH).astype(np.uint32),
            position=(rows % LENGTH).astype(np.uint16),
            document_position=(rows % LENGTH).astype(np.uint32),
            flags=flags,
            sequence_offsets=np.arange(0, N_ROWS + 1, LENGTH),
        )
        writer.close()
        work.finish({"tokens": "made up"})
        table = work.final.name
    layout = plan_layout(N_ROWS, D_MODEL, "float16")
    x = np.random.default_rng(0).standard_normal((_BLOCK_ROWS, D_MODEL)).astype(np.float16)
    with hold(place / "resid_post.0.json", "0" * 64, ".zarr") as work:
        shards = ShardWriter(work.path, layout, "resid_post.0", {})
        for start in range(0, N_ROWS, _BLOCK_ROWS):
            shards.append(start, x, flags[start : start + _BLOCK_ROWS] != 0)
        facts = {"hook": "resid_post.0", "rows": table, "tokens": "made up"}
        facts["token_ranges"] = {"train": [0, N_ROWS]}
        facts["sequence_ranges"] = {"train": [0, N_ROWS // LENGTH]}
        work.finish({**facts, **shards.finalise()}, known=shards.hashes, needs=[table])
        work.publish()
    return place / "resid_post.0.json"
