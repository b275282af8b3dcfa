import numpy as np
import pytest

from saeflow.errors import DamagedError
from saeflow.tokens import columns
from saeflow.tokens.columns import Columns, ColumnWriter
from saeflow.work import hold


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "_SHARD_VALUES", 64)
    monkeypatch.setattr(columns, "_CHUNK_VALUES", 16)
    with hold(tmp_path / "t.json", "t") as work:
        writer = ColumnWriter(work.path, {"a": "uint32", "flags": "uint8"}, {"format": "x"})
        for part in np.array_split(np.arange(200, dtype=np.uint32), [1, 70, 199]):
            writer.append(a=part, flags=np.zeros(len(part), np.uint8))
        writer.close()
        work.finish({})
    return work.final


def test_columns_are_written_in_parts_and_read_in_parts(path):
    found = Columns(path)
    assert found.length("a") == 200
    assert found.read("a", 60, 140).tolist() == list(range(60, 140))
    assert found["a"].tolist() == list(range(200))
    assert found["a"].dtype == np.uint32
    assert not found["flags"].any()


def test_a_loaded_column_cannot_be_changed(path):
    with pytest.raises(ValueError, match="read-only"):
        Columns(path)["a"][0] = 1


def test_a_missing_file_is_refused_also_where_all_values_are_zero(path):
    (path / "flags" / "c" / "1").unlink()
    with pytest.raises(DamagedError, match="flags/c/1.*no file"):
        Columns(path)


def test_a_flipped_bit_is_found_when_reading_and_when_verifying(path):
    file = path / "a" / "c" / "0"
    content = bytearray(file.read_bytes())
    content[12] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedError, match="a/c/0"):
        Columns(path).verify()
    with pytest.raises(DamagedError):
        Columns(path)["a"]


def test_verify_tells_the_bytes_it_read(path):
    files = [
        p for p in path.rglob("*") if p.is_file() and p.parent != path or p.name == "zarr.json"
    ]
    assert Columns(path).verify() == sum(p.stat().st_size for p in files)


def test_a_file_that_goes_away_while_a_column_is_read_is_no_column_of_zeros(path):
    found = Columns(path)
    (path / "a" / "c" / "2").unlink()
    with pytest.raises(DamagedError, match="a/c/2.*no file"):
        found.read("a", 100, 200)
