import pytest

from saeflow.files import read_json
from saeflow.inventory import (
    INVENTORY,
    MANIFEST,
    Damage,
    altered_files,
    is_whole,
    lost_files,
    write_inventory,
)
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
    content = bytearray((bulk / "c" / "0").read_bytes())
    content[4_321] ^= 16
    (bulk / "c" / "0").write_bytes(content)
    assert {d.path.name for d in lost_files(bulk)} == {"1"}
    assert {(d.path.name, d.what) for d in altered_files(bulk)} == {
        ("1", "1 bytes instead of 0"),
        ("0", "its content was altered"),
    }


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
