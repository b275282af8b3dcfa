import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import zarr

from saeflow.activations.reader import open_store
from saeflow.activations.release import release, release_stores
from saeflow.errors import DamagedError
from saeflow.files import read_json
from saeflow.readers import reading
from saeflow.task import Task
from saeflow.work import MANIFEST, RELEASED, Work, bulk_of, hold, released_at
from tiny_stores import make_store

LENGTHS = {"train": [40, 30], "test": [20]}
USE = """
import sys
from pathlib import Path
from saeflow.readers import reading
from saeflow.work import hold
with {}:
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def record(tmp_path):
    generator = torch.Generator().manual_seed(0)
    return make_store(tmp_path, torch.randn(90, 8, generator=generator), LENGTHS, shard_rows=32)


@contextmanager
def process_with(what, record):
    """Another process that is in the middle of something."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", USE.format(what), str(record)]
    process = subprocess.Popen(command, **pipes)
    try:
        assert process.stdout.readline() == "begun\n"
        yield process
    finally:
        process.communicate("")


@pytest.fixture
def reader(record):
    """A process that reads the store."""
    with process_with("reading(Path(sys.argv[1]))", record) as process:
        yield process


def rows_left(bulk: Path) -> list[Path]:
    return [p for p in bulk.rglob("*") if p.is_file() and "activations" in p.parts]


def test_the_rows_go_and_what_is_known_of_them_stays(record):
    before = record.read_bytes()
    bulk, mean = bulk_of(record), open_store(record).mean
    assert rows_left(bulk)
    assert release(record)
    assert not rows_left(bulk)
    assert record.read_bytes() == before == (bulk / RELEASED).read_bytes()
    group = zarr.open_group(str(bulk), mode="r", use_consolidated=False)
    assert (group["mean"][:] == mean).all()
    assert group.attrs["released"] is True


def test_no_reader_of_zarr_takes_the_removed_rows_for_zeros(record):
    bulk = bulk_of(record)
    zarr.consolidate_metadata(str(bulk))
    assert "activations" in zarr.open_consolidated(str(bulk))
    release(record)
    assert "activations" not in zarr.open_group(str(bulk), mode="r")


def test_a_removed_store_says_so_to_who_opens_it(record):
    release(record)
    with pytest.raises(DamagedError, match="removed after their last reader.*temporary"):
        open_store(record)


def test_a_removed_store_is_unfinished_work_until_it_is_made_again(record):
    identity = json.loads(record.read_bytes())["identity"]
    assert released_at(record, identity, ".zarr") is None
    release(record)
    first = released_at(record, identity, ".zarr")
    assert first is not None
    with hold(record, identity, ".zarr") as work:
        assert not work.finished
        work.reopen()
        assert released_at(record, identity, ".zarr") == first, "known while it is made again"
        (work.path / "zarr.json").write_text('{"attributes": {}}')
        work.finish({})
    assert released_at(record, identity, ".zarr") is None
    release(record)
    assert released_at(record, identity, ".zarr") != first


def test_removing_twice_or_after_a_kill_in_between_ends_the_same(record):
    bulk = bulk_of(record)
    (bulk / MANIFEST).replace(bulk / RELEASED)  # what a kill after the first step leaves
    assert rows_left(bulk)
    for _ in range(2):
        assert release(record)
        assert not rows_left(bulk)


def test_a_store_that_another_process_reads_is_left_alone(record, reader):
    assert not release(record)
    open_store(record)
    reader.communicate("")
    assert release(record)


def test_each_store_of_a_pass_is_removed_or_left_by_itself(record, reader, tmp_path):
    x = torch.zeros(90, 8)
    others = [make_store(tmp_path, x, LENGTHS, hook=f"mlp_out.{block}") for block in (0, 1)]
    missing = tmp_path / "missing.json"
    stores = {"missing": missing, "read": record, "first": others[0], "second": others[1]}
    tasks = {
        name: Task(tmp_path / f"{name}.released.json", name, {}, {"activations": store})
        for name, store in stores.items()
    }
    release_stores(list(tasks.values()))
    assert tasks["missing"].error is not None and not tasks["missing"].output.exists()
    told = {name: read_json(tasks[name].output) for name in ("read", "first", "second")}
    assert [told[name]["released"] for name in told] == [False, True, True]
    assert [told[name]["identity"] for name in told] == list(told)
    assert rows_left(bulk_of(record))
    assert not any(rows_left(store.parent / read_json(store)["bulk"]) for store in others)


def test_a_store_that_another_process_makes_is_left_alone(record):
    with process_with("hold(Path(sys.argv[1]), 'i')", record):
        assert not release(record)
    assert rows_left(bulk_of(record))


def test_two_readers_at_once_do_not_wait_for_each_other(record, reader):
    with reading(record):
        pass


def test_a_store_that_is_missing_is_not_called_removed(record):
    bulk = bulk_of(record)
    (bulk / MANIFEST).unlink()
    with pytest.raises(DamagedError, match="missing or unfinished"):
        release(record)
    assert not (bulk / RELEASED).exists()


def test_a_place_that_cannot_be_written_to_can_be_read(record, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr("saeflow.readers._open_readers_lock", refuse)
    with reading(record):
        assert Work(record, "i", ".zarr") is not None
