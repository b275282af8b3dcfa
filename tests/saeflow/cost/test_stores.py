"""The size of a store is known to the byte before it is written."""

import pytest
import torch

from saeflow.cost.stores import store_size
from saeflow.work import bulk_of
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_store, make_tokens, save_model


def written(record):
    shards = [p for p in (bulk_of(record) / "activations" / "c").rglob("*") if p.is_file()]
    everything = [p for p in bulk_of(record).rglob("*") if p.is_file()]
    return shards, everything


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("n_rows", [1, 256, 257, 1000])
def test_shards_are_predicted_to_the_byte(tmp_path, dtype, n_rows):
    x = torch.zeros(n_rows, 8)
    record = make_store(tmp_path, x, {"train": [n_rows]}, dtype=dtype, shard_rows=256)
    shards, _ = written(record)
    size = store_size(n_rows, 8, dtype, 256)
    assert sum(p.stat().st_size for p in shards) == size.n_bytes
    assert len(shards) == size.n_shards


def test_a_harvest_of_some_hooks_writes_what_was_predicted(tmp_path):
    tokens = make_tokens(tmp_path / "tokens", {"train": [30] * 20, "test": [20] * 5})
    model = save_model(make_model("llama"), tmp_path / "m" / "model.json")
    hooks = ["resid_post.0", "resid_post.2"]
    records = harvest_hooks(tmp_path / "place", hooks, model, tokens, dtype="float16")
    size = store_size(700, 16, "float16", 256)
    for record in records.values():
        shards, everything = written(record)
        assert sum(p.stat().st_size for p in shards) == size.n_bytes
        assert len(shards) == size.n_shards == 3
        assert len(everything) == size.n_files
        beside = sum(p.stat().st_size for p in everything) - size.n_bytes
        assert 0.5 * size.small_bytes < beside < 2 * size.small_bytes


def test_large_stores_have_large_shards():
    # 512 wide, 2 bytes: inner chunks of 2048 rows; 64 of them below 1e8 rows, then 256
    assert store_size(99_999_999, 512, "float16").n_shards == -(-99_999_999 // (64 * 2048))
    assert store_size(100_000_000, 512, "float16").n_shards == -(-100_000_000 // (256 * 2048))
