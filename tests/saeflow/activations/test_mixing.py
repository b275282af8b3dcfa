import numpy as np
import pytest
import torch

from saeflow.activations.mixing import measure, predict
from saeflow.activations.order import Order
from saeflow.activations.reader import open_store
from tiny_stores import make_store

# Documents of 33 tokens, the first of which is BOS and never given: 32 rows each.
N_DOCUMENTS, LENGTH = 1024, 32
LENGTHS = {"train": [LENGTH + 1] * N_DOCUMENTS, "validation": [], "test": [5]}
N = N_DOCUMENTS * LENGTH


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    n = sum(map(sum, LENGTHS.values()))
    return open_store(make_store(tmp_path_factory.mktemp("store"), torch.zeros(n, 8), LENGTHS))


@pytest.fixture(scope="module")
def ragged(tmp_path_factory):
    lengths = {"train": [3, 700, 40, 9, 90, 2, 300] * 40, "validation": [], "test": [5]}
    n = sum(map(sum, lengths.values()))
    return open_store(make_store(tmp_path_factory.mktemp("ragged"), torch.zeros(n, 8), lengths))


def order(store, **settings):
    return Order(store, "train", **({"seed": 3, "window_rows": 1 << 12} | settings))


@pytest.mark.parametrize("window_rows", [1 << 11, 1 << 12, 1 << 13, 1 << 14])
def test_it_is_about_batch_times_length_over_window(store, window_rows):
    mixed = order(store, window_rows=window_rows)
    windows = [len(window) for window, _ in mixed.windows()]
    assert max(windows) <= window_rows
    expected = 128 * LENGTH / (sum(windows) / len(windows))
    assert predict(mixed, 128).mates == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("batch_size", [64, 512, 3000])
@pytest.mark.parametrize("window_rows", [256, 1 << 11, 1 << 13, 1 << 20])
def test_what_is_predicted_is_what_is_measured(store, ragged, batch_size, window_rows):
    for one in (store, ragged):
        mixed = order(one, window_rows=window_rows, epochs=3)
        expected = predict(mixed, batch_size).mates
        assert measure(mixed, batch_size) == pytest.approx(expected, rel=0.1)


def test_a_window_of_everything_is_ideal(store):
    whole = predict(order(store, window_rows=1 << 20), 512)
    assert whole.mates == pytest.approx(whole.ideal) == pytest.approx(511 / (N - 1) * (LENGTH - 1))


def test_a_batch_of_everything_has_all_mates(store):
    assert measure(order(store), N) == LENGTH - 1
    assert predict(order(store), N).mates == pytest.approx(LENGTH - 1)


def test_mates_are_counted_as_by_hand(store):
    """Two windows of one chunk, batches of a whole window: every mate in the chunk."""
    mixed = order(store, window_rows=256)
    kept = np.flatnonzero(mixed.is_kept)
    mates = 0
    for chunk in range(int(kept[-1]) // 256 + 1):
        documents = kept[kept // 256 == chunk] // (LENGTH + 1)
        mates += sum(int((documents == document).sum()) - 1 for document in documents)
    assert predict(mixed, 2).mates < predict(mixed, 100).mates < mates / N
    seen = [list(mixed.rows(window)) for window, _ in mixed.windows()]
    assert sum(len({r // (LENGTH + 1) for r in rows}) for rows in seen) < N_DOCUMENTS * 2
    sequences = measure(mixed, 200, unit="document_position")
    assert sequences != measure(mixed, 200)


def test_memory_grows_with_the_window_and_is_the_systems_where_a_store_is_mapped(store):
    small, large = (predict(order(store, window_rows=1 << p), 64) for p in (11, 12))
    assert large.page_cache_bytes == 2 * small.page_cache_bytes == 2 * 4096 * 8 * 4
    rows = large.window_rows
    assert rows == 4096
    assert large.own_bytes - small.own_bytes == 2048 * 32
    assert "4,096 rows are mixed" in str(large)


def test_the_measure_reads_no_activations(store, monkeypatch):
    mixed = order(store)
    monkeypatch.setattr(store.activations, "raw", None)
    monkeypatch.setattr(store.activations, "populate", None)
    assert measure(mixed, 64, n_batches=2) > 0
