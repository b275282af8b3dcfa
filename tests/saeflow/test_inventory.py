from hashlib import sha256

import pytest

from damage import alter, edit, flip
from saeflow import inventory
from saeflow.files import read_json, write_json
from saeflow.inventory import (
    INVENTORY,
    MANIFEST,
    Damage,
    altered_files,
    damaged_files,
    is_whole,
    lost_files,
    read_record,
    with_checksum,
    write_inventory,
)
from saeflow.task import Task
from saeflow.work import hold


@pytest.fixture
def bulk(tmp_path):
    with hold(tmp_path / "a.json", "a" * 64) as work:
        (work.path / "c").mkdir()
        (work.path / "c" / "0").write_bytes(bytes(5_000))
        (work.path / "c" / "1").write_bytes(b"")
        work.finish({})
    return work.final


def test_whole_bulk_has_nothing_lost_and_nothing_altered(bulk):
    read = []
    assert is_whole(bulk)
    assert list(altered_files(bulk, read.append)) == []
    assert sum(read) == 5_000


def test_the_inventory_lists_every_file_but_itself_and_the_manifest(bulk):
    files = read_json(bulk / INVENTORY)
    assert {name: facts["bytes"] for name, facts in files.items()} == {"c/0": 5_000, "c/1": 0}


def test_a_hash_that_is_known_is_not_taken_again(tmp_path):
    (tmp_path / "a").write_text("x")
    write_inventory(tmp_path, {"a": "known"})
    assert read_json(tmp_path / INVENTORY)["a"] == {"bytes": 1, "xxh3_128": "known"}


def test_the_size_is_noticed_at_once_and_the_content_by_reading(bulk):
    (bulk / "c" / "1").write_bytes(b"x")
    assert list(lost_files(bulk)) == [Damage(bulk / "c" / "1", "1 bytes instead of 0")]
    flip(bulk / "c" / "0", 4_321)
    assert {d.path.name for d in lost_files(bulk)} == {"1"}
    assert {(d.path.name, d.what) for d in altered_files(bulk)} == {
        ("1", "1 bytes instead of 0"),
        ("0", "its content was altered"),
    }


def test_the_content_of_what_was_written_to_later_is_noticed_at_once(bulk, monkeypatch):
    alter(bulk / "c" / "0")
    assert list(lost_files(bulk)) == [Damage(bulk / "c" / "0", "its content was altered")]
    monkeypatch.setattr(inventory, "_READ_BYTES", 4_999)  # what is larger waits for `verify`
    assert is_whole(bulk) and list(altered_files(bulk))


def test_a_file_that_was_touched_is_the_same(bulk):
    (bulk / "c" / "0").touch()
    assert is_whole(bulk)


@pytest.mark.parametrize("old, new", [("5000", "5001"), ("1", "2"), ('"identity"', '"identify"')])
def test_a_record_vouches_for_itself(tmp_path, old, new):
    record = tmp_path / "a.json"
    write_json(record, with_checksum({"identity": "1", "n": 5000, "x": [0.1, None, {"b": 1e-9}]}))
    assert read_record(record)["x"] == [0.1, None, {"b": 1e-9}]
    edit(record, old, new)
    assert read_record(record) == {}


def test_the_checksum_is_that_of_the_record_in_its_one_spelling():
    known = sha256(b'{"a":[1,"\xc3\xa9"],"b":{"1":0.5}}').hexdigest()
    record = with_checksum({"b": {1: 0.5}, "a": (1, "é")})
    assert record == {"a": [1, "é"], "b": {"1": 0.5}, "checksum": known}
    assert with_checksum(record) == record


def test_the_files_of_a_table_are_looked_at_like_those_of_bulk(tmp_path):
    record, csv = tmp_path / "t.json", tmp_path / "t.csv"
    csv.write_text("8.25")
    Task(record, "a", {}, files=(csv,)).finish({})
    assert list(damaged_files(record)) == list(altered_files(record)) == []
    edit(csv, "8.25", "9.25")
    assert list(damaged_files(record)) == [Damage(csv, "its content was altered")]
    csv.write_text("8")
    assert list(damaged_files(record)) == [Damage(csv, "1 bytes instead of 4")]
    csv.unlink()
    assert list(altered_files(record)) == [Damage(csv, "missing")]
    record.write_text("{}")
    assert list(altered_files(record)) == [Damage(record, "its content was altered")]
    record.unlink()
    assert list(damaged_files(record)) == [Damage(record, "missing")]


def test_an_inventory_that_was_changed_vouches_for_nothing(bulk):
    text = (bulk / INVENTORY).read_text()
    (bulk / INVENTORY).write_text(text.replace("5000", "5001"))
    assert list(altered_files(bulk)) == [Damage(bulk / INVENTORY, "its content was altered")]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_an_unreadable_manifest_is_damage(bulk, text):
    (bulk / MANIFEST).write_text(text)
    assert [d.path for d in altered_files(bulk)] == [bulk / MANIFEST]


def test_bulk_that_needs_lost_bulk_is_lost_but_not_altered(bulk):
    with hold(bulk.parent / "b.json", "b" * 64) as work:
        work.finish({}, needs=[bulk.name])
    (bulk / "c" / "0").unlink()
    assert [d.path for d in lost_files(work.final)] == [bulk / "c" / "0"]
    assert list(altered_files(work.final)) == []
