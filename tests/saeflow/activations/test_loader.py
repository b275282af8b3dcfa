import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from saeflow.activations.array import open_array
from saeflow.activations.layout import ARRAY
from saeflow.activations.loader import Loader
from saeflow.activations.reader import open_store
from saeflow.errors import DataError, StoreError
from saeflow.tokens.flags import excluded
from tiny_stores import make_store

LENGTHS = {"train": [37] * 60, "validation": [], "test": [25] * 4}
N, N_TRAIN, D = 37 * 60 + 100, 37 * 60, 4


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Rows that hold their own number."""
    x = torch.arange(N, dtype=torch.float32)[:, None].expand(N, D)
    return make_store(tmp_path_factory.mktemp("store"), x, LENGTHS)


@pytest.fixture
def store(record):
    return open_store(record)


def numbers(batches):
    return [batch[:, 0].long().tolist() for batch in batches]


def loader(store, **changes):
    settings = {"batch_size": 64, "seed": 1, "window_rows": 512} | changes
    return Loader(store, "train", **settings)


def begun(one, n):
    """Give the first ``n`` batches of a loader, and leave it there."""
    batches = iter(one)
    found = numbers(next(batches) for _ in range(n))
    batches.close()
    return found


def unmapped(path, x, **options):
    """Return rows that cannot be mapped."""
    zarr.create_group(str(path)).create_array(ARRAY, data=x, **options)
    return open_array(path)


def ordinary(store):
    return np.flatnonzero(~excluded(store.rows.flags[:N_TRAIN])).tolist()


def test_each_ordinary_row_of_the_split_is_given_once_an_epoch(store):
    shapes, batches = set(), []
    for batch in loader(store):
        shapes.add((batch.dtype, batch.shape[1]))
        batches += numbers([batch])
    assert shapes == {(torch.float32, D)}
    assert {len(b) for b in batches[:-1]} == {64}
    rows = sum(batches, [])
    assert sorted(rows) == ordinary(store)
    assert len(rows) == 36 * 60
    assert rows != sorted(rows)


def test_each_epoch_has_its_own_order_and_batches_run_on(store):
    mixed = loader(store, epochs=3)
    batches = numbers(mixed)
    assert len(batches) == len(mixed) == -(-3 * mixed.n_rows // 64)
    assert {len(b) for b in batches[:-1]} == {64}
    rows = sum(batches, [])
    epochs = [rows[i * mixed.n_rows : (i + 1) * mixed.n_rows] for i in range(3)]
    assert all(sorted(epoch) == ordinary(store) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_each_epoch_mixes_other_chunks_with_one_another(store):
    batches = numbers(loader(store, batch_size=240, window_rows=256, epochs=2))
    chunks = [{row // 256 for row in batch} for batch in (batches[0], batches[9])]
    assert chunks[0] != chunks[1]


def test_a_seed_gives_the_same_order_again_and_another_seed_another(store):
    assert numbers(loader(store)) == numbers(loader(store))
    assert numbers(loader(store)) != numbers(loader(store, seed=2))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 33, 34, 50, 67])
def test_it_resumes_exactly_where_it_was(store, n):
    whole = numbers(loader(store, epochs=2))
    first = loader(store, epochs=2)
    given, state = begun(first, n), first.state()
    assert all(isinstance(value, int) for value in state.values())
    rest = loader(store, epochs=2, start=state)
    assert given + numbers(rest) == whole
    assert rest.state()["batches"] == len(whole)


@pytest.mark.parametrize(
    ("one", "other"),
    [({}, {"seed": 2}), ({}, {"batch_size": 32}), ({"part": "2/2"}, {"part": "1/2"})],
)
def test_a_position_of_another_order_is_refused(store, one, other):
    with pytest.raises(StoreError, match="another order"):
        loader(store, **other, start=loader(store, **one).state())


def test_parts_share_the_rows_by_document_and_each_resumes(store):
    given = []
    for part in ("1/3", "2/3", "3/3"):
        whole = numbers(loader(store, epochs=2, part=part))
        rows = sum(whole, [])
        assert sorted(rows[: 36 * 20]) == sorted(rows[36 * 20 :])
        given.append(set(rows))
        one = loader(store, epochs=2, part=part)
        first = begun(one, 5)
        assert first + numbers(loader(store, epochs=2, part=part, start=one.state())) == whole
    assert set.union(*given) == {*ordinary(store)} and sum(map(len, given)) == 36 * 60
    documents = [{row // 37 for row in rows} for rows in given]
    assert documents == [{*range(20)}, {*range(20, 40)}, {*range(40, 60)}]


def test_ranks_share_a_part(store):
    ranks = [loader(store, part="2/3", rank=rank, world_size=2) for rank in (0, 1)]
    rows = [sum(numbers(one), []) for one in ranks]
    assert sorted(rows[0] + rows[1]) == [r for r in ordinary(store) if 20 <= r // 37 < 40]


def test_a_window_of_everything_mixes_everything(store):
    (rows,) = numbers(loader(store, batch_size=N, window_rows=1 << 20))
    assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.1


def test_another_split_gives_its_own_rows(store):
    rows = sum(numbers(Loader(store, "test", batch_size=16, seed=0, window_rows=300)), [])
    assert sorted(rows) == [N_TRAIN + i for i in range(100) if i % 25]


def test_windows_smaller_than_a_chunk_work(store):
    rows = sum(numbers(loader(store, window_rows=50)), [])
    assert sorted(rows) == ordinary(store)


def test_a_split_without_tokens_is_an_error(store):
    with pytest.raises(DataError, match="validation split has no token"):
        Loader(store, "validation", batch_size=8, seed=0)


def test_a_store_that_cannot_be_mapped_gives_the_same_rows(store, tmp_path):
    options = {"chunks": (256, D), "compressors": zarr.codecs.ZstdCodec()}
    rows = unmapped(tmp_path / "s", store.activations[:], **options)
    mapped = loader(store, window_rows=1 << 20)
    whole, in_order = numbers(mapped), numbers(loader(store))
    store.activations = rows
    slow = loader(store)
    found = []
    for number, batch in enumerate(slow):
        if number < 8:
            time.sleep(0.05)  # what is read ahead meanwhile must not touch this batch's window
        found += numbers([batch])
    assert sorted(sum(found, [])) == sorted(sum(whole, []))
    assert found == in_order
    slow = loader(store)
    assert begun(slow, 1) + numbers(loader(store, start=slow.state())) == in_order


def test_abandoning_the_iteration_leaves_no_thread(store):
    begun(loader(store), 1)
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_the_order_is_the_one_that_the_seed_says(store):
    """Written down once more, plainly: chunks by one permutation, rows of a window by another."""
    chunks = np.random.default_rng([1, 0]).permutation(9)
    kept, expected = np.array(ordinary(store)), []
    for number, (first, end) in enumerate([(0, 3), (3, 6), (6, 9)]):
        window = np.concatenate([kept[kept // 256 == c] for c in chunks[first:end]])
        mixed = np.random.default_rng([1, 0, number]).permutation(len(window))
        expected += window[mixed].tolist()
    assert -(-N_TRAIN // 256) == 9
    assert sum(numbers(loader(store, window_rows=1000)), []) == expected


def test_no_two_windows_are_mixed_alike(store):
    options = {"epochs": 2, "world_size": 2}
    orders = [loader(store, rank=rank, **options).order for rank in range(2)]
    keys = [window.key for order in orders for window, _ in order.windows()]
    assert len(set(keys)) == len(keys) >= 8


def test_a_batch_lies_in_memory_that_is_used_again(store):
    batches = iter(loader(store))
    first = next(batches)
    kept, copied = first, first.clone()
    second = next(batches)
    assert second.data_ptr() == kept.data_ptr() and not torch.equal(kept, copied)
    assert second.data_ptr() % 64 == 0 and second.is_contiguous()
    batches.close()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_stored_batches_are_the_same_rows_in_the_dtype_of_the_store(dtype, tmp_path):
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
    store = open_store(make_store(tmp_path, x, LENGTHS, dtype=dtype))
    stored = [batch.clone() for batch in loader(store).stored_batches()]
    values = [batch.clone() for batch in loader(store)]
    assert {batch.dtype for batch in stored} == {getattr(torch, dtype)}
    assert all(torch.equal(a.float(), b) for a, b in zip(stored, values, strict=True))
    found = torch.cat(stored)[:, 0].sort().values
    assert torch.equal(found, x[ordinary(store), 0].to(found.dtype).sort().values)


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
@pytest.mark.parametrize("window_rows", [50, 512, 1 << 20])
def test_ranks_share_an_epoch_without_overlap_or_loss(store, world_size, window_rows):
    options = {"world_size": world_size, "window_rows": window_rows, "epochs": 2}
    ranks = [loader(store, rank=rank, **options) for rank in range(world_size)]
    found = [numbers(one) for one in ranks]
    sizes = [one.n_rows for one in ranks]
    assert max(sizes) - min(sizes) <= 1
    assert max(map(len, found)) - min(map(len, found)) <= (max(sizes) * 2 % 64 in (1, 2))
    for epoch in range(2):
        rows = [
            sum(batches, [])[epoch * n : (epoch + 1) * n]
            for batches, n in zip(found, sizes, strict=True)
        ]
        assert sorted(sum(rows, [])) == ordinary(store)


def test_ranks_read_their_own_chunks_but_for_those_at_the_cuts(store):
    chunks = [
        {row // 256 for row in sum(numbers(loader(store, rank=rank, world_size=3)), [])}
        for rank in range(3)
    ]
    assert sum(map(len, chunks)) <= len(set.union(*chunks)) + 2


def test_a_rank_resumes_where_it_was_and_no_other_rank_there(store):
    options = {"rank": 1, "world_size": 3, "epochs": 2}
    whole, first = numbers(loader(store, **options)), loader(store, **options)
    assert begun(first, 9) + numbers(loader(store, **options, start=first.state())) == whole
    with pytest.raises(StoreError, match="another order"):
        loader(store, **{**options, "rank": 2}, start=first.state())
    with pytest.raises(DataError, match="no such rank"):
        loader(store, rank=3, world_size=3)


def fork(action):
    """Run ``action`` in a forked process and return its number."""
    child = os.fork()
    if not child:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return child


def test_killed_at_random_moments_every_row_is_given_once(store, tmp_path):
    """What a killed reader has written down, with its position, is what it must not repeat."""
    moments, log = np.random.default_rng(0), tmp_path / "log"
    log.touch()

    def lines():
        text = log.read_text()
        return text[: text.rfind("\n") + 1].splitlines()  # a torn line was not given

    def read(at_most=None):
        done = lines()
        log.write_text("".join(line + "\n" for line in done))
        one = loader(store, epochs=2, start={**loader(store).state(), "batches": len(done)})
        with log.open("a", buffering=1) as file:
            for n, batch in enumerate(one):
                while n == at_most:
                    time.sleep(60)  # until it is killed, however late
                file.write(",".join(map(str, numbers([batch])[0])) + "\n")
                time.sleep(0.002)

    for _ in range(6):
        n_before, n = len(lines()), int(moments.integers(1, 8))
        child = fork(functools.partial(read, at_most=n + 1))
        while len(lines()) < n_before + n:
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert 6 <= len(lines()) < len(loader(store, epochs=2))
    assert os.waitpid(fork(read), 0)[1] == 0
    found = [[int(row) for row in line.split(",")] for line in lines()]
    assert found == numbers(loader(store, epochs=2))


def test_an_iteration_is_not_carried_over_a_fork(store):
    batches = iter(loader(store))
    next(batches)

    def carry_on():
        with pytest.raises(StoreError, match="before a fork"):
            next(batches)

    assert os.waitpid(fork(carry_on), 0)[1] == 0
    assert len(next(batches)) == 64
    batches.close()


WORKERS = """
import os, sys
from pathlib import Path
import numpy as np
from saeflow.activations.array import open_array
from saeflow.activations.loader import Loader
from saeflow.activations.reader import open_store
import torch

store = open_store(Path(sys.argv[1]))
for directory in sys.argv[2:]:
    store.activations = open_array(Path(directory))
def read(**part):
    batches = Loader(store, "train", batch_size=2048, seed=1, **part)
    return sum(int(batch[:, 0].double().sum()) for batch in batches)
whole = read()                                       # the parent has read, with two threads
assert torch.get_num_threads() == 2
pipes = []
for rank in range(4):
    ends = os.pipe()
    if not os.fork():
        os.write(ends[1], str(read(rank=rank, world_size=4)).encode())
        os._exit(0)
    pipes.append(ends[0])
found = [int(os.read(pipe, 99)) for pipe in pipes]
assert sum(found) == whole, (found, whole)
"""


@pytest.mark.parametrize("mapped", [True, False])
def test_four_forked_workers_finish_after_the_parent_has_read(mapped, tmp_path):
    lengths = {"train": [64] * 256, "validation": [], "test": [4]}
    x = torch.arange(64 * 256 + 4, dtype=torch.float32)[:, None].expand(-1, 64)
    arguments = [str(make_store(tmp_path, x, lengths))]
    if not mapped:
        unmapped(tmp_path / "slow", x.numpy(), chunks=(256, 64))
        arguments.append(str(tmp_path / "slow"))
    subprocess.run(
        [sys.executable, "-c", WORKERS, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        timeout=60,
        check=True,
    )


def anonymous_bytes():
    """Memory of this process that is not of files."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in status if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("mapped", [True, False])
def test_memory_is_constant_over_500_batches(mapped, tmp_path):
    n, d = 1 << 16, 64
    x = torch.ones(n, d)
    lengths = {"train": [64] * (n // 64), "validation": [], "test": []}
    store = open_store(make_store(tmp_path, x, lengths, dtype="float16", shard_rows=1 << 14))
    if not mapped:
        store.activations = unmapped(tmp_path / "slow", x.half().numpy(), chunks=(4096, d))
    early = late = 0
    batches = loader(store, batch_size=256, window_rows=1 << 14, epochs=3)
    for number, _ in enumerate(batches):
        if number < 200:
            early = max(early, anonymous_bytes())
        else:
            late = max(late, anonymous_bytes())
    assert number > 700
    assert late <= early + (1 << 20)
