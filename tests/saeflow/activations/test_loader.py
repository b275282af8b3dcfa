import numpy as np
import pytest
import torch
import zarr

from saeflow.activations.array import open_array
from saeflow.activations.layout import ARRAY
from saeflow.activations.loader import Loader, batches_in_order
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


def ordinary(store):
    return np.flatnonzero(~excluded(store.rows.flags[:N_TRAIN])).tolist()


def test_each_ordinary_row_of_the_split_is_given_once_an_epoch(store):
    batches = list(loader(store))
    assert all(b.dtype == torch.float32 and b.shape[1] == D for b in batches)
    assert {len(b) for b in batches[:-1]} == {64}
    rows = sum(numbers(batches), [])
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
    batches = iter(first)
    begun = numbers(next(batches) for _ in range(n))
    batches.close()
    state = first.state()
    assert all(isinstance(value, int) for value in state.values())
    rest = loader(store, epochs=2, start=state)
    assert begun + numbers(rest) == whole
    assert rest.state()["batches"] == len(whole)


def test_a_position_of_another_order_is_refused(store):
    state = loader(store).state()
    with pytest.raises(StoreError, match="another order"):
        loader(store, seed=2, start=state)
    with pytest.raises(StoreError, match="another order"):
        loader(store, batch_size=32, start=state)


def test_a_window_of_everything_mixes_everything(store):
    (rows,) = numbers(loader(store, batch_size=N, window_rows=1 << 20))
    assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.1


def test_windows_smaller_than_a_chunk_work(store):
    rows = sum(numbers(loader(store, window_rows=50)), [])
    assert sorted(rows) == ordinary(store)


def test_a_split_without_tokens_is_an_error(store):
    with pytest.raises(DataError, match="validation split has no token"):
        Loader(store, "validation", batch_size=8, seed=0)


def test_a_store_that_cannot_be_mapped_gives_the_same_rows(store, tmp_path):
    group = zarr.create_group(str(tmp_path / "s"))
    group.create_array(
        ARRAY, data=store.activations[:], chunks=(256, D), compressors=zarr.codecs.ZstdCodec()
    )
    mapped = loader(store, window_rows=1 << 20)
    whole = numbers(mapped)
    store.activations = open_array(tmp_path / "s")
    slow = loader(store)
    assert sorted(sum(numbers(slow), [])) == sorted(sum(whole, []))
    slow_state = loader(store)
    begun = [next(iter(slow_state))]
    rest = loader(store, start=slow_state.state())
    assert numbers(begun) + numbers(rest) == numbers(loader(store))


def test_abandoning_the_iteration_leaves_no_thread(store):
    import threading

    batches = iter(loader(store))
    next(batches)
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_rows_in_order_are_all_rows_of_the_split(store):
    found = list(batches_in_order(store, "test", 64))
    assert [(r.start, r.stop) for r, _ in found] == [(2220, 2284), (2284, 2320)]
    assert sum(numbers(x for _, x in found), []) == list(range(N_TRAIN, N))
