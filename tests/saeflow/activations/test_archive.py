import numpy as np
import pytest
import tensorstore
import torch
import zarr

from damage import flip
from saeflow.activations.archive import ORIGINAL, archive, restore
from saeflow.activations.layout import ARRAY
from saeflow.activations.loader import Loader
from saeflow.activations.reader import open_store
from saeflow.errors import DamagedError, StoreError
from saeflow.files import hash_tree, read_json
from saeflow.inventory import is_whole
from saeflow.tokens.flags import excluded
from tiny_stores import make_store

LENGTHS = {"train": [40] * 20, "validation": [], "test": [25] * 4}
N, D = 900, 24
LOSSLESS = ("zstd", "blosc")


@pytest.fixture(scope="module")
def x():
    """Dimensions of unlike scales, one of which never moves, and huge rows at each BOS."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, D)) * np.geomspace(0.1, 30, D) + np.linspace(-5, 5, D)
    x[:, 7] = 3.0
    x[: 40 * 20 : 40] *= 200
    return torch.from_numpy(x.astype(np.float32))


@pytest.fixture(scope="module", params=["float16", "bfloat16", "float32"])
def store(request, x, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    return open_store(make_store(place, x, LENGTHS, dtype=request.param))


@pytest.mark.parametrize("codec", LOSSLESS)
def test_a_lossless_archive_has_the_same_numbers_for_us_and_for_others(store, tmp_path, codec):
    path = tmp_path / "a.zarr"
    told = []
    archive(store, path, codec, told.append)
    assert sum(told) == N
    found = open_store(path)
    assert found.activations.mapped is None
    assert found.record["dtype"] == store.record["dtype"]
    assert found.record["identity"] != store.record["identity"]
    raw = store.activations.raw(slice(None))
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path / ARRAY)}}
    for other in (
        found.activations.raw(slice(None)),
        zarr.open_array(str(path / ARRAY), mode="r")[:],
        tensorstore.open(spec, read=True).result().read().result(),
    ):
        assert other.tobytes() == raw.tobytes()
    assert torch.equal(
        found.activations.tensor(slice(3, 700)), store.activations.tensor(slice(3, 700))
    )
    for name in ("token_id", "flags", "sequence_offsets"):
        assert np.array_equal(found.rows[name], store.rows[name])
    assert np.array_equal(found.mean, store.mean) and np.array_equal(found.std, store.std)
    assert found.ranges("test") == store.ranges("test")
    assert found.verify() > 0


@pytest.mark.parametrize("codec", LOSSLESS)
def test_what_is_restored_is_the_store_byte_for_byte(store, tmp_path, codec):
    archive(store, tmp_path / "a.zarr", codec)
    record = restore(tmp_path / "a.zarr", tmp_path / "back")
    again = open_store(record)
    assert record.name == "resid_post.0.json"
    assert again.path.name == store.path.name and again.rows.path.name == store.rows.path.name
    assert hash_tree(again.path) == hash_tree(store.path)
    assert hash_tree(again.rows.path) == hash_tree(store.rows.path)
    assert read_json(record) == store.record
    assert again.activations.mapped is not None
    assert is_whole(again.path)


def test_training_sees_the_same_batches_from_an_archive(x, tmp_path):
    store = open_store(make_store(tmp_path, x, LENGTHS))
    archive(store, tmp_path / "a.zarr", "zstd")
    batches = [
        list(Loader(one, "train", batch_size=64, seed=1, window_rows=512))
        for one in (store, open_store(tmp_path / "a.zarr"))
    ]
    assert len(batches[0]) == len(batches[1])
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))


def test_the_error_of_int8_is_below_the_bound_and_near_what_even_errors_give(store, tmp_path):
    path = tmp_path / "a.zarr"
    record = archive(store, path, "int8")
    found = open_store(path)
    kept = ~excluded(store.rows.flags)
    true, back = (s.activations.tensor(slice(None)).double()[kept] for s in (store, found))
    scale = zarr.open_array(str(path / "scale"), mode="r")[:].astype(np.float64)
    std = store.std.astype(np.float64)
    # half a step, and the rounding of float32 in x = mean + std * scale * q
    half = std * scale[kept][:, None] / 2 + 1e-6 * np.abs(true.numpy()).max(0)
    assert (np.abs((true - back).numpy()) <= half).all()
    # by hand: the error over the squared distance from the mean
    variance = float((true - torch.from_numpy(store.mean)).square().sum())
    nmse = float((true - back).square().sum()) / variance
    mean_square = float((scale[kept] ** 2).mean())
    assert nmse < mean_square / 4
    assert nmse == pytest.approx(mean_square / 12, rel=0.1)
    assert record["archive"]["nmse"] == pytest.approx(nmse, rel=1e-3)


def test_a_dimension_that_never_moves_is_exact_in_int8(x, tmp_path):
    store = open_store(
        make_store(tmp_path, x.clone().index_fill_(0, torch.arange(0, 800, 40), 3.0), LENGTHS)
    )
    assert store.std[7] == 0
    archive(store, tmp_path / "a.zarr", "int8")
    assert (open_store(tmp_path / "a.zarr").activations[:][:, 7] == 3.0).all()


def test_int8_never_passes_for_the_original(store, tmp_path):
    archive(store, tmp_path / "a.zarr", "int8")
    found = open_store(tmp_path / "a.zarr")
    assert found.record["dtype"] == "int8"
    assert found.record["identity"] != store.record["identity"]
    assert found.record["archive"]["of"] == store.record["identity"]
    assert zarr.open_array(str(found.path / ARRAY), mode="r").dtype == np.int8
    with pytest.raises(StoreError, match="lost nothing.*got codec int8"):
        restore(tmp_path / "a.zarr", tmp_path / "back")


def test_an_archive_is_half_of_a_16_bit_store_or_less_in_int8(store, tmp_path):
    archive(store, tmp_path / "a.zarr", "int8")
    size = sum(p.stat().st_size for p in (tmp_path / "a.zarr" / ARRAY).rglob("0") if p.is_file())
    assert size < 0.55 * N * D * 2


def test_a_damaged_archive_is_noticed_and_never_restored(x, tmp_path):
    store = open_store(make_store(tmp_path, x, LENGTHS))
    path = tmp_path / "a.zarr"
    archive(store, path, "zstd")
    (path / "rows" / "flags" / "c" / "0").unlink()
    with pytest.raises(DamagedError, match="flags/c/0"):
        open_store(path)
    archive(store, tmp_path / "b.zarr", "zstd")
    file = tmp_path / "b.zarr" / ARRAY / "c" / "2" / "0"
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedError):
        restore(tmp_path / "b.zarr", tmp_path / "back")
    assert not list((tmp_path / "back").glob("resid_post.0*"))


def test_what_is_restored_is_compared_with_the_hashes_of_the_original(x, tmp_path):
    store = open_store(make_store(tmp_path, x, LENGTHS))
    archive(store, tmp_path / "a.zarr", "zstd")
    file = tmp_path / "a.zarr" / ORIGINAL / "_commit" / "000001.sums"
    flip(file, 9)
    with pytest.raises(DamagedError, match="not what was archived"):
        restore(tmp_path / "a.zarr", tmp_path / "back")
    assert not list((tmp_path / "back").glob("resid_post.0*"))


def test_nothing_that_exists_is_overwritten(x, tmp_path):
    store = open_store(make_store(tmp_path, x, LENGTHS))
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(StoreError, match="exists already"):
        archive(store, tmp_path / "a.zarr", "zstd")
    archive(store, tmp_path / "b.zarr", "zstd")
    with pytest.raises(StoreError, match="exists already"):
        restore(tmp_path / "b.zarr", tmp_path)
    with pytest.raises(StoreError, match="archive already"):
        archive(open_store(tmp_path / "b.zarr"), tmp_path / "c.zarr", "zstd")
    with pytest.raises(StoreError, match=r"zstd \| blosc \| int8; got lz4"):
        archive(store, tmp_path / "c.zarr", "lz4")


def test_a_try_that_failed_leaves_nothing(x, tmp_path):
    store = open_store(make_store(tmp_path, x, LENGTHS))

    def stop(_n):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive(store, tmp_path / "a.zarr", "zstd", stop)
    assert not list(tmp_path.glob("a.zarr*"))
