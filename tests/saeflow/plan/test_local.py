import hashlib
import json
import os

import pytest

from saeflow.errors import ConfigError
from saeflow.plan import local
from saeflow.plan.local import CACHE, hash_local


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hashed(monkeypatch):
    """The files whose content was read."""
    seen, read = [], local.sha256_file

    def count(path):
        seen.append(path.name)
        return read(path)

    monkeypatch.setattr(local, "sha256_file", count)
    return seen


def test_a_file_has_the_hash_of_its_content(here):
    (here / "a.txt").write_bytes(b"one")
    assert hash_local(here / "a.txt", where="") == hashlib.sha256(b"one").hexdigest()


def test_an_unchanged_file_is_read_once(here, hashed):
    (here / "a.txt").write_text("one")
    assert hash_local(here / "a.txt", where="") == hash_local(here / "a.txt", where="")
    assert hashed == ["a.txt"]


def test_a_changed_file_is_noticed(here):
    path = here / "a.txt"
    path.write_text("one")
    before = hash_local(path, where="")
    path.write_text("another")
    assert hash_local(path, where="") != before


def test_a_change_that_keeps_size_and_modification_time_is_noticed(here):
    """As `rsync --times` or `cp --preserve` of another file leave it."""
    path = here / "a.txt"
    path.write_text("one")
    status = path.stat()
    before = hash_local(path, where="")
    while path.stat().st_ctime_ns == status.st_ctime_ns:  # the kernel's clock ticks
        path.write_text("two")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert hash_local(path, where="") != before


def test_a_touched_file_is_read_again_and_has_the_same_hash(here, hashed):
    path = here / "a.txt"
    path.write_text("one")
    before = hash_local(path, where="")
    os.utime(path, (1, 1))
    assert hash_local(path, where="") == before
    assert hashed == ["a.txt", "a.txt"]


def test_a_directory_has_the_hash_of_names_and_contents(here):
    directory = here / "model"
    (directory / "deep").mkdir(parents=True)
    (directory / "deep" / "a").write_text("x")
    first = hash_local(directory, where="")
    (directory / "deep" / "a").rename(directory / "deep" / "b")
    assert hash_local(directory, where="") != first
    (directory / "deep" / "b").rename(directory / "deep" / "a")
    assert hash_local(directory, where="") == first


def test_the_place_of_a_directory_is_no_part_of_its_hash(here):
    for name in ("one", "two"):
        (here / name).mkdir()
        (here / name / "a").write_text("x")
    assert hash_local(here / "one", where="") == hash_local(here / "two", where="")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}'])
def test_a_damaged_cache_is_made_anew(here, text):
    (here / "a.txt").write_text("one")
    CACHE.parent.mkdir(parents=True)
    CACHE.write_text(text)
    assert hash_local(here / "a.txt", where="") == hashlib.sha256(b"one").hexdigest()
    assert str(here / "a.txt") in json.loads(CACHE.read_text())


def test_a_missing_path_is_refused_with_its_key(here):
    with pytest.raises(ConfigError, match="c.yaml > datasets > x > path: there is no such file"):
        hash_local(here / "none", where="c.yaml > datasets > x > path")
