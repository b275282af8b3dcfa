import shutil
import subprocess
import sys

import pytest
import torch

from saeflow.activations.archive import archive
from saeflow.activations.layout import ARRAY
from saeflow.activations.reader import open_store
from saeflow.inventory import is_whole
from saeflow.work import hold
from tiny_stores import make_store

LENGTHS = {"train": [40] * 15, "validation": [], "test": [25] * 4}
HOLD = """
import sys
from pathlib import Path
from saeflow.locks import try_lock
with try_lock(Path(sys.argv[1])) as free:
    assert free
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path):
    return tmp_path / "results/activations/m/d/p"


@pytest.fixture
def record(place):
    place.mkdir(parents=True)
    return make_store(place, torch.randn(700, 16), LENGTHS, dtype="float16")


def flip(file, at=20):
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    return file


def shard(record, number):
    return open_store(record).path / ARRAY / "c" / str(number) / "0"


@pytest.mark.parametrize("what", ["record", "manifest", "bulk", "place", "results"])
def test_whole_data_are_verified_however_they_are_named(record, place, tmp_path, saeflow, what):
    path = open_store(record).path
    named = {
        "record": record,
        "manifest": path / "manifest.json",
        "bulk": path,
        "place": place,
        "results": tmp_path / "results",
    }
    code, printed = saeflow("verify", named[what])
    assert code == 0
    assert "All of it is as it was written" in printed
    lines = [line.split() for line in printed.splitlines() if line.startswith("whole")]
    kinds = {line[-1].rpartition("/")[2].partition(".")[0] for line in lines}
    assert {"resid_post", "rows"} <= kinds
    assert len(lines) == len({line[-1] for line in lines})


def test_each_altered_file_is_named_with_the_remedy(record, saeflow):
    files = [
        flip(shard(record, 1)),
        flip(open_store(record).rows.path / "flags" / "c" / "0"),
        flip(open_store(record).path / "mean" / "c" / "0"),
        flip(open_store(record).path / "zarr.json"),
    ]
    code, printed = saeflow("verify", record)
    assert code == 1
    for file in files:
        assert f"{file}: its content was altered" in printed
    assert "4 damaged files" in printed
    assert "--discard" in printed
    assert all(file.exists() for file in files)


def test_a_lost_file_and_a_record_of_something_else_are_damage_too(record, saeflow):
    shard(record, 0).unlink()
    record.write_text(record.read_text().replace('resid_post.0",', 'resid_post.9",'))
    code, printed = saeflow("verify", record)
    assert code == 1
    assert "c/0/0: missing" in printed
    assert f"{record}: it differs from the manifest" in printed


def test_discard_removes_the_damaged_files_and_no_other(record, saeflow):
    path = open_store(record).path
    damaged = flip(shard(record, 1))
    before = {p for p in path.rglob("*") if p.is_file()}
    assert is_whole(path), "sizes alone do not show it"
    code, printed = saeflow("verify", "--discard", record)
    assert code == 0
    assert "snakemake now redoes what was lost" in printed
    assert {p for p in path.rglob("*") if p.is_file()} == before - {damaged}
    assert not is_whole(path)


def test_an_altered_inventory_is_discarded_with_the_manifest(record, saeflow):
    path = open_store(record).path
    flip(path / "files.json")
    assert saeflow("verify", "--discard", record)[0] == 0
    assert not (path / "files.json").exists() and not (path / "manifest.json").exists()
    assert shard_files(path) == 3


def shard_files(path):
    return len([p for p in (path / ARRAY / "c").rglob("0") if p.is_file()])


def test_what_a_process_works_on_is_left_alone(record, saeflow):
    damaged = flip(shard(record, 1))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(record)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    code, printed = saeflow("verify", "--discard", record)
    process.communicate("")
    assert code == 1
    assert "left alone: it is in use" in printed
    assert damaged.exists()


def test_the_committed_shards_of_an_unfinished_store_are_verified(record, saeflow):
    path = open_store(record).path
    (path / "manifest.json").unlink()
    partial = path.with_name(path.name + ".partial")
    path.rename(partial)
    code, printed = saeflow("verify", partial)
    assert code == 0 and printed.startswith("unfinished")
    file = flip(partial / ARRAY / "c" / "2" / "0")
    assert saeflow("verify", record)[0] == 1, "a record whose data are being redone"
    assert saeflow("verify", "--discard", partial)[0] == 0
    assert not file.exists()


def test_an_archive_is_verified_and_never_discarded(record, tmp_path, saeflow):
    path = tmp_path / "a.zarr"
    archive(open_store(record), path, "zstd")
    assert saeflow("verify", path)[0] == 0
    flip(path / ARRAY / "c" / "0" / "0")
    code, printed = saeflow("verify", path)
    assert code == 1 and "archive the store again" in printed
    code, printed = saeflow("verify", "--discard", path)
    assert code == 1
    assert (path / ARRAY / "c" / "0" / "0").exists()


def test_data_of_any_kind_are_verified(tmp_path, saeflow):
    with hold(tmp_path / "sae.json", "0123456789abcdef" * 4) as work:
        (work.path / "weights").write_bytes(bytes(100))
        work.finish({})
        work.publish()
    assert saeflow("verify", tmp_path / "sae.json")[0] == 0
    flip(work.final / "weights")
    assert saeflow("verify", tmp_path)[0] == 1


def test_a_temporary_store_that_was_removed_is_no_damage(record, saeflow):
    path = open_store(record).path
    (path / "manifest.json").rename(path / "released.json")
    shutil.rmtree(path / ARRAY)
    code, printed = saeflow("verify", record)
    assert code == 0 and printed.startswith("removed")


def test_a_path_without_data_is_an_error(tmp_path, saeflow):
    for path in (tmp_path, tmp_path / "none"):
        code, printed = saeflow("verify", path)
        assert code == 1 and printed.startswith("error in")
    (tmp_path / "a.json").write_text('{"identity": "x"}')
    assert "no record of data" in saeflow("verify", tmp_path / "a.json")[1]
