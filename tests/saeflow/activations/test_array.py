import logging

import numpy as np
import pytest
import tensorstore
import torch
import zarr

from damage import flip
from saeflow.activations.array import open_array
from saeflow.activations.layout import ARRAY, Layout, plan_layout
from saeflow.activations.reader import open_store
from saeflow.activations.values import bits
from saeflow.activations.writer import ShardWriter
from saeflow.errors import DamagedError, StoreError
from saeflow.inventory import write_inventory
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
    assert zarr.open_array(str(store.path / ARRAY), mode="r").attrs["logical_dtype"] == dtype
    for found in others(store.path / ARRAY):
        assert found.dtype == ours.dtype
        assert found.tobytes() == ours.tobytes()
    expected = x.to(getattr(torch, dtype)).float()
    assert torch.equal(store.activations.tensor(slice(None)), expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_all_patterns_survive_the_disk_for_every_reader_nan_included(tmp_path, monkeypatch, dtype):
    """65,536 patterns in shards of 256 rows, of which the last is short."""
    monkeypatch.setattr(ShardWriter, "_check_finite", lambda *_: None)
    patterns = np.arange(65_536, dtype=np.uint16).reshape(-1, 64)
    patterns = np.concatenate([patterns, patterns[:100]])
    n = len(patterns)
    writer = ShardWriter(tmp_path, plan_layout(n, 64, dtype, 256), "resid_post.0", {})
    writer.append(0, patterns.view(writer.layout.storage), np.ones(n, bool))
    writer.finalise()
    ours = open_array(tmp_path)
    assert ours.shape == (1_124, 64)
    for found in (ours.mapped, *others(tmp_path / ARRAY)):
        assert found.tobytes() == patterns.tobytes()
    values = patterns.view(np.int16)
    assert torch.equal(bits(ours.raw(slice(None))), torch.from_numpy(values))


def written(path, data, **options):
    """Return a group with an array that zarr-python wrote."""
    zarr.create_group(str(path)).create_array(ARRAY, data=data, **options)
    return path


COMPRESSED = {"chunks": (128, 24), "shards": (256, 24), "compressors": zarr.codecs.ZstdCodec()}


def others(path):
    """What zarr-python and tensorstore read."""
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}
    yield zarr.open_array(str(path), mode="r")[:]
    yield tensorstore.open(spec, read=True).result().read().result()


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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_stored_number_that_is_none_is_refused_by_every_reader(x, tmp_path, dtype, value):
    path = open_store(make_store(tmp_path, x, LENGTHS, dtype=dtype)).path
    row, dimension = 300, 5  # of the second shard of 256 rows
    shard = path / ARRAY / "c" / "1" / "0"
    stored = bits_of(value, dtype)
    with shard.open("r+b") as file:
        file.seek(((row - 256) * 24 + dimension) * stored.nbytes)
        file.write(stored.tobytes())
    rows = open_array(path)
    index = np.array([899, 0, row])
    for read in (
        lambda: rows[290:310], lambda: rows[index], lambda: rows[row],
        lambda: rows.tensor(slice(290, 310)), lambda: rows.tensor(index),
        lambda: rows.tensor(torch.from_numpy(index)),
    ):  # fmt: skip
        said = rf"{value} in row {row}, dimension {dimension}, shard {shard}"
        with pytest.raises(StoreError, match=said):
            read()
    assert np.array_equal(rows[0:row], x[0:row].to(getattr(torch, dtype)).float())
    assert rows.raw(slice(row, row + 1)).shape == (1, 24)  # as it lies there


def bits_of(value, dtype):
    x = torch.tensor([value], dtype=getattr(torch, dtype))
    return x.view(torch.int32 if dtype == "float32" else torch.int16).numpy()


def test_large_numbers_whose_sum_is_infinite_are_numbers(tmp_path):
    x = torch.full((40, 24), 65504.0).half()
    lengths = {"train": [20], "validation": [10], "test": [10]}
    rows = open_store(make_store(tmp_path, x, lengths, dtype="float16")).activations
    assert torch.equal(rows.tensor(slice(None)), x.float())
    huge = torch.full((40, 24), 3e38)
    rows = open_store(make_store(tmp_path / "b", huge, lengths, dtype="float32")).activations
    assert torch.equal(rows.tensor(slice(None)), huge)


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
    data, about = bits if dtype == "bfloat16" else x.numpy(), {"logical_dtype": dtype}
    with caplog.at_level(logging.WARNING):
        rows = open_array(written(tmp_path / "s", data, **COMPRESSED, attributes=about))
    assert "compressed" in caplog.text
    assert rows.mapped is None
    expected = x.bfloat16().float() if dtype == "bfloat16" else x
    index = np.array([899, 3, 256, 3])
    assert np.array_equal(rows[100:600], expected[100:600])
    assert np.array_equal(rows[index], expected[index])
    assert torch.equal(rows.tensor(torch.from_numpy(index)), expected[index])


def test_an_array_that_zarr_python_wrote_uncompressed_is_mapped(x, tmp_path):
    options = {**COMPRESSED, "compressors": None, "config": {"write_empty_chunks": True}}
    rows = open_array(written(tmp_path / "s", x.numpy(), **options))
    assert np.array_equal(rows.mapped, x)


def test_a_missing_shard_is_refused_though_zarr_reads_zeros(x, tmp_path):
    record = make_store(tmp_path, x, LENGTHS)
    path = open_store(record).path
    (path / ARRAY / "c" / "1" / "0").unlink()
    assert not zarr.open_array(str(path / ARRAY), mode="r")[256:512].any()
    with pytest.raises(DamagedError, match="c/1/0.*missing"):
        open_store(record)
    with pytest.raises(DamagedError, match="c/1/0.*no file"):
        open_array(path)


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_truncated_shard_is_refused(x, tmp_path, size):
    record = make_store(tmp_path, x, LENGTHS)
    path = open_store(record).path
    file = path / ARRAY / "c" / "2" / "0"
    content = file.read_bytes()
    file.write_bytes(content[:size])
    with pytest.raises(DamagedError, match=f"c/2/0.*instead of {len(content)}"):
        open_store(record)
    with pytest.raises(DamagedError, match=f"c/2/0.*expected {len(content)} bytes"):
        open_array(path)


def test_rows_are_read_into_a_given_buffer(x, tmp_path):
    rows = open_store(make_store(tmp_path, x, LENGTHS)).activations
    out = np.full((300, 24), np.nan, np.float32)
    rows.read_into(200, out)
    assert np.array_equal(out, x[200:500])
    rows.read_into(0, out[:0])
    with pytest.raises(IndexError, match="700 to 1000 of 900"):
        rows.read_into(700, out)
    with pytest.raises(TypeError):
        rows.read_into(0, np.empty((10, 24), np.float16))


def test_chunks_in_another_order_are_legal_and_read_through_zarr(x, tmp_path, caplog):
    """As zarrs writes them: in the order in which they were done."""
    options = {"chunks": (256, 24), "shards": (512, 24), "compressors": None}
    path = written(tmp_path / "s", x.numpy(), **options)
    file = path / ARRAY / "c" / "0" / "0"
    content, chunk = file.read_bytes(), 256 * 24 * 4
    index = np.frombuffer(content[2 * chunk : -4], "<u8").reshape(2, 2).copy()
    index[:, 0] = index[::-1, 0]
    swapped = content[chunk : 2 * chunk] + content[:chunk] + index.tobytes()
    file.write_bytes(swapped + Layout.checksum(index.tobytes()))
    with caplog.at_level(logging.WARNING):
        rows = open_array(path)
    assert "not in order" in caplog.text
    assert rows.mapped is None
    assert np.array_equal(rows[0:900], x)


@pytest.fixture
def compressed(x, tmp_path):
    return written(tmp_path / "s", x.numpy(), **COMPRESSED)


@pytest.mark.parametrize("harm", ["delete", "empty", "cut"])
def test_a_lost_shard_of_a_compressed_array_is_an_error_and_never_zeros(compressed, harm):
    file = compressed / ARRAY / "c" / "1" / "0"
    content = file.read_bytes()
    write_inventory(compressed)
    {
        "delete": file.unlink,
        "empty": lambda: file.write_bytes(b""),
        "cut": lambda: file.write_bytes(content[:-1]),
    }[harm]()
    with pytest.raises(DamagedError, match=f"c/1/0.*{len(content)} bytes"):
        open_array(compressed)
    if harm != "cut":
        (compressed / "files.json").unlink()
        with pytest.raises(DamagedError, match="c/1/0.*a file with content"):
            open_array(compressed)


def test_a_shard_that_goes_away_while_it_is_read_is_an_error_and_never_zeros(compressed):
    rows = open_array(compressed)
    (compressed / ARRAY / "c" / "1" / "0").unlink()
    assert rows[0:256].any()
    for where in (slice(200, 300), np.array([3, 300])):
        with pytest.raises(DamagedError, match="c/1/0.*no file"):
            rows.raw(where)


def test_slow_rows_are_indexed_in_every_way_that_mapped_rows_are(compressed, x):
    rows, x = open_array(compressed), x.numpy()
    chosen = np.arange(900) % 7 == 3
    for where in (slice(10, 600, 7), slice(-5, None), slice(50, 20, -3), slice(7, 7), chosen):
        assert np.array_equal(rows.raw(where), x[where])
    assert np.array_equal(rows.raw([-1, 5, -900]), x[[-1, 5, -900]])
    with pytest.raises(IndexError, match="900 of 900"):
        rows.raw([3, 900])


def test_what_is_no_array_of_activations_is_refused(tmp_path):
    with pytest.raises(StoreError, match="no array of activations"):
        open_array(written(tmp_path / "s", np.zeros(5)))


def test_a_flipped_bit_in_an_index_is_refused(x, tmp_path):
    record = make_store(tmp_path, x, LENGTHS)
    file = open_store(record).path / ARRAY / "c" / "0" / "0"
    flip(file, -10)
    with pytest.raises(DamagedError, match="index of a shard is damaged"):
        open_store(record)
