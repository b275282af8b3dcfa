import hashlib
import os

import pytest

from saeflow.errors import DamagedError
from saeflow.files import (
    canonical_json,
    hash_tree,
    read_json,
    sha256_file,
    write_atomic,
    write_json,
)


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical_json({"b": 1, "a": [1.5, "ü"]}) == '{"a":[1.5,"ü"],"b":1}'
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_a_failed_write_leaves_the_old_content_and_no_debris(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_atomic(path, "not bytes")
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_round_trip_makes_directories(tmp_path):
    write_json(tmp_path / "x" / "y.json", {"ä": [1, None]})
    assert read_json(tmp_path / "x" / "y.json") == {"ä": [1, None]}


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe"])
def test_torn_json_is_a_damaged_file_with_its_name(tmp_path, content):
    path = tmp_path / "torn.json"
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"torn\.json.*Delete it"):
        read_json(path)


def test_missing_json_is_a_damaged_file(tmp_path):
    with pytest.raises(DamagedError, match="missing"):
        read_json(tmp_path / "none.json")


def test_file_hash_is_sha256_of_the_content(tmp_path):
    (tmp_path / "f").write_bytes(b"abc" * 2_000_000)  # more than one block
    assert sha256_file(tmp_path / "f") == hashlib.sha256(b"abc" * 2_000_000).hexdigest()


def test_tree_hash_sees_names_and_contents_but_not_times(tmp_path):
    for name in ("one/a", "two/a", "three/b"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    os.utime(tmp_path / "two" / "a", (0, 0))
    assert hash_tree(tmp_path / "one") == hash_tree(tmp_path / "two")
    assert hash_tree(tmp_path / "one") != hash_tree(tmp_path / "three")
