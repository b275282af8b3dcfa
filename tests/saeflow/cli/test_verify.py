import os
import re
import shutil

import pytest
import torch

from damage import alter, edit, flip, rewrite
from holding import held
from saeflow.activations.archive import archive
from saeflow.activations.layout import ARRAY
from saeflow.activations.reader import open_store
from saeflow.inventory import damaged_files, hash_file, is_whole
from saeflow.task import Task
from saeflow.work import hold
from tiny_stores import make_store

LENGTHS = {"train": [40] * 15, "validation": [], "test": [25] * 4}


@pytest.fixture
def place(tmp_path):
    return tmp_path / "results/activations/m/d/p"


@pytest.fixture
def record(place):
    place.mkdir(parents=True)
    return make_store(place, torch.randn(700, 16), LENGTHS, dtype="float16")


def shard(record, number):
    return open_store(record).path / ARRAY / "c" / str(number) / "0"


@pytest.mark.parametrize("what", ["record", "manifest", "bulk", "place", "results"])
def test_whole_data_are_verified_however_they_are_named(record, place, tmp_path, what, done):
    path = open_store(record).path
    named = {
        "record": record,
        "manifest": path / "manifest.json",
        "bulk": path,
        "place": place,
        "results": tmp_path / "results",
    }
    printed = done("verify", named[what])
    assert re.fullmatch(r"All of it is as it was written: [23] results whole \(.*\)\.\n", printed)
    printed = done("verify", "--verbose", named[what])
    lines = [line.split() for line in printed.splitlines() if line.startswith("whole")]
    kinds = {line[-1].rpartition("/")[2].partition(".")[0] for line in lines}
    assert {"resid_post", "rows"} <= kinds
    assert len(lines) == len({line[-1] for line in lines})


def test_each_altered_file_is_named_with_the_remedy(record, refused):
    files = [
        flip(shard(record, 1)),
        flip(open_store(record).rows.path / "flags" / "c" / "0"),
        flip(open_store(record).path / "mean" / "c" / "0"),
        flip(open_store(record).path / "zarr.json"),
    ]
    printed = refused("verify", record)
    for file in files:
        assert f"{file}: its content was altered" in printed
    assert "4 damaged files; 0 results whole" in printed
    assert "--discard" in printed
    assert all(file.exists() for file in files)


def test_a_lost_file_and_a_record_of_something_else_are_damage_too(record, saeflow, refused):
    shard(record, 0).unlink()
    edit(record, 'resid_post.0",', 'resid_post.9",')
    printed = refused("verify", record)
    assert "c/0/0: missing" in printed
    assert f"{record}: its content was altered" in printed
    rewrite(record, hook="resid_post.9")
    assert f"{record}: it differs from the manifest" in saeflow("verify", record)[1]


def test_discard_removes_the_damaged_files_and_no_other(record, done):
    path = open_store(record).path
    damaged = flip(shard(record, 1))
    before = {p for p in path.rglob("*") if p.is_file()}
    assert is_whole(path), "sizes alone do not show it"
    printed = done("verify", "--discard", record)
    assert "snakemake now redoes what was lost" in printed
    assert {p for p in path.rglob("*") if p.is_file()} == before - {damaged}
    assert not is_whole(path)


def test_an_altered_inventory_is_discarded_with_the_manifest(record, done):
    path = open_store(record).path
    flip(path / "files.json")
    done("verify", "--discard", record)
    assert not (path / "files.json").exists() and not (path / "manifest.json").exists()
    assert shard_files(path) == 3


def shard_files(path):
    return len([p for p in (path / ARRAY / "c").rglob("0") if p.is_file()])


def test_what_a_process_works_on_is_left_alone(record, refused):
    damaged = flip(shard(record, 1))
    with held(record):
        printed = refused("verify", "--discard", record)
    assert "left alone: it is in use" in printed
    assert damaged.exists()


def test_the_committed_shards_of_an_unfinished_store_are_verified(record, saeflow, done):
    path = open_store(record).path
    (path / "manifest.json").unlink()
    partial = path.with_name(path.name + ".partial")
    path.rename(partial)
    printed = done("verify", partial)
    assert "0 results whole, 1 unfinished" in printed
    file = flip(partial / ARRAY / "c" / "2" / "0")
    assert saeflow("verify", record)[0] == 1, "a record whose data are being redone"
    done("verify", "--discard", partial)
    assert not file.exists()


def test_an_archive_is_verified_and_never_discarded(record, tmp_path, done, refused):
    path = tmp_path / "a.zarr"
    archive(open_store(record), path, "zstd")
    done("verify", path)
    flip(path / ARRAY / "c" / "0" / "0")
    printed = refused("verify", path)
    assert "archive the store again" in printed
    printed = refused("verify", "--discard", path)
    assert (path / ARRAY / "c" / "0" / "0").exists()


def test_data_of_any_kind_are_verified(tmp_path, done, refused):
    with hold(tmp_path / "sae.json", "0123456789abcdef" * 4) as work:
        (work.path / "weights").write_bytes(bytes(100))
        work.finish({})
        work.publish()
    done("verify", tmp_path / "sae.json")
    flip(work.final / "weights")
    refused("verify", tmp_path)


def test_a_temporary_store_that_was_removed_is_no_damage(record, done):
    path = open_store(record).path
    (path / "manifest.json").rename(path / "released.json")
    shutil.rmtree(path / ARRAY)
    printed = done("verify", record)
    assert "0 results whole, 1 removed" in printed


def test_a_path_without_data_is_an_error(tmp_path, saeflow, refused):
    for path in (tmp_path, tmp_path / "none"):
        printed = refused("verify", path)
        assert printed.startswith("error in")
    (tmp_path / "a.json").write_text('{"identity": "x"}')
    assert "a.json: its content was altered" in saeflow("verify", tmp_path / "a.json")[1]
    (tmp_path / "notes.txt").write_text("x")
    assert "no record lists this file" in saeflow("verify", tmp_path / "notes.txt")[1]


@pytest.fixture
def table(tmp_path):
    """The record of a table, in a directory of results."""
    csv, record = (tmp_path / f"results/tables/s/l0.{suffix}" for suffix in ("csv", "json"))
    csv.parent.mkdir(parents=True)
    csv.write_text("sae,l0\na,8.25\n")
    Task(record, "a" * 64, {}, files=(csv,)).finish({"n_rows": 1})
    return record


@pytest.mark.parametrize("named", ["tables/s/l0.csv", "tables/s/l0.json", "tables", ""])
def test_a_digit_of_a_table_is_found_however_it_is_named_and_whenever_it_was_changed(
    table, tmp_path, named, done, refused
):
    csv = table.with_suffix(".csv")
    done("verify", tmp_path / "results" / named)
    before = csv.stat().st_mtime_ns
    edit(csv, "8.25", "9.25")
    os.utime(csv, ns=(before, before))
    printed = refused("verify", tmp_path / "results" / named)
    assert f"{csv}: its content was altered" in printed
    assert "1 damaged file; 0 results whole" in printed
    assert next(damaged_files(table), None) is None, "planning goes by the time"
    done("verify", "--discard", tmp_path / "results" / named)
    assert not csv.exists() and table.exists()


@pytest.mark.parametrize("text", ["", "{", "8", '{"identity": "x"}'])
def test_a_damaged_record_of_a_table_is_found_and_discarded(table, text, done, refused):
    table.write_text(text)
    printed = refused("verify", table.parent)
    assert f"{table}: its content was altered" in printed
    done("verify", "--discard", table.parent)
    assert not table.exists()


def test_a_record_whose_data_are_gone_is_found(record, refused):
    shutil.rmtree(open_store(record).path)
    printed = refused("verify", record.parent)
    assert f"{record}: the data that it names are missing" in printed


def test_a_thousand_whole_results_hide_no_damaged_one(table, refused):
    for name in range(30):
        csv = table.with_name(f"{name}.csv")
        csv.write_text("x")
        Task(csv.with_suffix(".json"), "b" * 64, {}, files=(csv,)).finish({})
    flip(table.with_name("7.csv"), 0)
    printed = refused("verify", table.parent)
    lines = printed.splitlines()
    assert lines[0].startswith("damaged") and lines[1].endswith("7.csv: its content was altered")
    assert lines[2].startswith("1 damaged file; 30 results whole (")
    assert len(lines) == 4, "what is wrong, where, how much, what to do"


def test_what_verify_found_whole_is_not_read_again_for_its_time(record, monkeypatch, done):
    """As after a copy that did not keep the files' times."""
    path = open_store(record).path
    file = shard(record, 1)
    os.utime(file)
    read = []

    def watched(file):
        read.append(file)
        return hash_file(file)

    with monkeypatch.context() as patch:
        patch.setattr("saeflow.inventory.hash_file", watched)
        assert is_whole(path) and read == [file]
    done("verify", record)
    with monkeypatch.context() as patch:
        patch.setattr("saeflow.inventory.hash_file", watched)
        assert is_whole(path) and read == [file], "not read a second time"
    alter(file)
    assert not is_whole(path)
