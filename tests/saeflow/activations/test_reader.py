import shutil

import pytest
import torch
import zarr

from damage import flip, rewrite
from saeflow.activations.layout import ARRAY
from saeflow.activations.reader import Store, open_store
from saeflow.errors import DamagedError, DataError, StoreError
from saeflow.files import read_json, write_json
from saeflow.tokens.columns import TokenColumns
from tiny_stores import make_store

LENGTHS = {"train": [40] * 15, "validation": [], "test": [25] * 4}


@pytest.fixture
def record(tmp_path):
    return make_store(tmp_path, torch.randn(700, 16), LENGTHS, dtype="float16")


def test_splits_are_ranges_of_rows_and_sequences(record):
    store = open_store(record)
    assert store.ranges("train") == (0, 600)
    assert store.ranges("test") == (600, 700)
    assert store.sequence_range("test") == (15, 19)
    with pytest.raises(DataError, match="train | validation | test"):
        store.ranges("dev")


def test_an_intact_store_is_verified_whole(record):
    store = open_store(record)
    files = [p for p in (store.path / ARRAY / "c").rglob("*") if p.is_file()]
    assert store.verify() > sum(f.stat().st_size for f in files) > 700 * 16 * 2


@pytest.mark.parametrize("place", [0, 4_000, 8_000])
def test_verify_finds_a_flipped_bit_that_every_reader_misses(record, place):
    store = open_store(record)
    file = store.path / ARRAY / "c" / "1" / "0"
    flip(file, place)
    zarr.open_array(str(store.path / ARRAY), mode="r")[:]
    with pytest.raises(DamagedError, match="c/1/0: 1 of the store's files"):
        open_store(record).verify()


def test_verify_looks_at_the_row_table_too(record):
    store = open_store(record)
    file = next(p for p in (store.rows.path / "token_id" / "c").rglob("*") if p.is_file())
    flip(file, 3)
    with pytest.raises(DamagedError, match="token_id"):
        open_store(record).verify()


def test_a_store_without_its_manifest_is_unfinished(record):
    (open_store(record).path / "manifest.json").unlink()
    with pytest.raises(DamagedError, match="unfinished"):
        open_store(record)


def test_a_store_without_its_row_table_is_refused(record):
    shutil.rmtree(open_store(record).rows.path)
    with pytest.raises(DamagedError, match=r"rows\.\w+\.zarr/manifest.json.*missing"):
        open_store(record)


def test_a_store_of_a_future_format_is_refused(record):
    write_json(record, {**read_json(record), "format": "saeflow-activations-2"})
    with pytest.raises(StoreError, match="saeflow-activations-2"):
        open_store(record)


def test_a_store_of_another_size_than_its_record_says_is_refused(record):
    write_json(record, {**read_json(record), "n_rows": 699})
    with pytest.raises(DamagedError, match="do not belong together.*n_rows 699; got n_rows 700"):
        open_store(record)


def test_an_array_of_another_size_than_its_manifest_says_is_refused(record):
    manifest = open_store(record).path / "manifest.json"
    rewrite(manifest, n_rows=699)
    with pytest.raises(DamagedError, match="699 rows of width 16.*got 700 rows"):
        open_store(manifest)


@pytest.mark.parametrize(
    ("of", "name", "value"),
    [(Store, "tokens", "x"), (Store, "dtype", "bfloat16"), (Store, "hook", "mlp_out.0"),
     (TokenColumns, "tokens", "others")],
)  # fmt: skip
def test_data_of_another_store_under_the_same_name_are_refused(record, of, name, value):
    store = open_store(record)
    place = store if of is Store else store.rows
    rewrite(place.path / "manifest.json", **{name: value})
    with pytest.raises(DamagedError, match=f"do not belong together.*got {name} {value}"):
        open_store(record)


def test_a_directory_is_opened_if_it_is_a_finished_store_and_else_refused(record, tmp_path):
    path = open_store(record).path
    assert open_store(path).n_rows == 700
    for other in (tmp_path, path / ARRAY):
        with pytest.raises(StoreError, match="no finished store.*saeflow info"):
            open_store(other)


@pytest.mark.parametrize("name", ["mean", "std"])
def test_a_lost_statistic_is_noticed_at_once_and_an_altered_one_by_verify(record, name):
    (file,) = (p for p in (open_store(record).path / name / "c").rglob("*") if p.is_file())
    flip(file, 7)
    with pytest.raises(DamagedError, match=f"{name}/c/0"):
        open_store(record).verify()
    file.unlink()
    with pytest.raises(DamagedError, match=f"{name}/c/0.*missing"):
        open_store(record)


def test_a_store_can_be_opened_by_its_manifest_before_it_is_published(record):
    path = open_store(record).path
    assert open_store(path / "manifest.json").path == path
