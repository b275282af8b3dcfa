import logging

import numpy as np
import pytest
import tensorstore
import torch
import zarr

from saeflow.activations.array import open_array
from saeflow.activations.layout import ARRAY
from saeflow.activations.reader import open_store
from saeflow.errors import DamagedError
from tiny_stores import make_store

LENGTHS = {"train": [40] * 20, "validation": [], "test": [25] * 4}
N_ROWS = 900


@pytest.fixture
def x():
    return torch.randn(N_ROWS, 24, generator=torch.Generator().manual_seed(3)) * 100


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
def test_zarr_python_and_tensorstore_read_what_we_read(x, tmp_path, dtype):
    store = open_store(make_store(tmp_path, x, LENGTHS, dtype=dtype))
    ours = store.activations.mapped
    assert ours.shape == (N_ROWS, 24)
    theirs = zarr.open_array(str(store.path / ARRAY), mode="r")
    assert theirs.attrs["logical_dtype"] == dtype
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": str(store.path / ARRAY)},
    }
    others = tensorstore.open(spec, read=True).result().read().result()
    for found in (theirs[:], others):
        assert found.dtype == ours.dtype
        assert found.tobytes() == ours.tobytes()
    expected = x.to(getattr(torch, dtype)).float()
    assert torch.equal(store.activations.tensor(slice(None)), expected)


def test_all_bfloat16_patterns_that_are_numbers_survive_the_disk(tmp_path):
    patterns = torch.arange(65_536).to(torch.uint16).view(torch.int16).view(torch.bfloat16)
    finite = patterns[torch.isfinite(patterns)][: 65_280 // 64 * 64].reshape(-1, 64)
    lengths = {"train": [len(finite)], "validation": [], "test": []}
    store = open_store(make_store(tmp_path, finite, lengths, dtype="bfloat16"))
    found = torch.from_numpy(store.activations.mapped.view(np.int16).copy())
    assert found.numel() == 65_280
    assert torch.equal(found, finite.contiguous().view(torch.int16))


def test_rows_are_indexed_like_an_array_across_shard_borders(x, tmp_path):
    rows = open_store(make_store(tmp_path, x, LENGTHS)).activations
    index = np.array([899, 0, 255, 256, 511, 512, 256])
    assert np.array_equal(rows[250:520], x[250:520])
    assert np.array_equal(rows[index], x[index])
    assert np.array_equal(rows[-1], x[-1])
    assert torch.equal(rows.tensor(torch.from_numpy(index)), x[index])


def test_bfloat16_is_indexed_as_numbers(x, tmp_path):
    rows = open_store(make_store(tmp_path, x, LENGTHS, dtype="bfloat16")).activations
    assert np.array_equal(rows[3:300], x[3:300].bfloat16().float())


def test_what_is_read_outlives_the_closed_store(x, tmp_path):
    store = open_store(make_store(tmp_path, x, LENGTHS))
    kept, values = store.activations.mapped, store.activations[0:900]
    store.close()
    assert np.array_equal(kept, x)
    assert np.array_equal(values, x)


def test_the_mapped_rows_cannot_be_written(x, tmp_path):
    store = open_store(make_store(tmp_path, x, LENGTHS))
    with pytest.raises(ValueError, match="read-only"):
        store.activations.mapped[0, 0] = 1.0
    store.activations[0:10][:] = 7.0
    store.activations.tensor(slice(0, 10)).zero_()
    assert np.array_equal(store.activations[0:10], x[:10])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_compressed_array_is_read_through_zarr(x, tmp_path, caplog, dtype):
    bits = x.bfloat16().view(torch.int16).numpy().view(np.uint16)
    group = zarr.create_group(str(tmp_path / "s"))
    group.create_array(
        ARRAY,
        data=bits if dtype == "bfloat16" else x.numpy(),
        chunks=(128, 24),
        shards=(256, 24),
        compressors=zarr.codecs.ZstdCodec(),
        attributes={"logical_dtype": dtype},
    )
    with caplog.at_level(logging.WARNING):
        rows = open_array(tmp_path / "s")
    assert "compressed" in caplog.text
    assert rows.mapped is None
    expected = x.bfloat16().float() if dtype == "bfloat16" else x
    index = np.array([899, 3, 256, 3])
    assert np.array_equal(rows[100:600], expected[100:600])
    assert np.array_equal(rows[index], expected[index])
    assert torch.equal(rows.tensor(torch.from_numpy(index)), expected[index])


def test_an_array_that_zarr_python_wrote_uncompressed_is_mapped(x, tmp_path):
    group = zarr.create_group(str(tmp_path / "s"))
    group.create_array(
        ARRAY,
        data=x.numpy(),
        chunks=(128, 24),
        shards=(256, 24),
        compressors=None,
        config={"write_empty_chunks": True},
    )
    rows = open_array(tmp_path / "s")
    assert np.array_equal(rows.mapped, x)


def test_a_missing_shard_is_refused_though_zarr_reads_zeros(x, tmp_path):
    record = make_store(tmp_path, x, LENGTHS)
    path = open_store(record).path / ARRAY
    (path / "c" / "1" / "0").unlink()
    assert not zarr.open_array(str(path), mode="r")[256:512].any()
    with pytest.raises(DamagedError, match="c/1/0.*no file"):
        open_store(record)


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_truncated_shard_is_refused(x, tmp_path, size):
    record = make_store(tmp_path, x, LENGTHS)
    file = open_store(record).path / ARRAY / "c" / "2" / "0"
    content = file.read_bytes()
    file.write_bytes(content[:size])
    with pytest.raises(DamagedError, match=f"c/2/0.*{len(content)} bytes"):
        open_store(record)


def test_a_flipped_bit_in_an_index_is_refused(x, tmp_path):
    record = make_store(tmp_path, x, LENGTHS)
    file = open_store(record).path / ARRAY / "c" / "0" / "0"
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedError, match="index of a shard is damaged"):
        open_store(record)
