"""Kills, full disks and damage while stores are written and after; see docs/store.md."""

import errno
import os
import signal
import subprocess

import numpy as np
import pytest

from damage import alter, edit, flip
from killed_writers import BLOCK, SHARD, counting, n_points, rows, write_and_die, write_store
from saeflow.activations.layout import ARRAY, plan_layout
from saeflow.activations.writer import ShardWriter
from saeflow.cli.main import main
from saeflow.errors import DiskFullError, StoreError
from saeflow.files import hash_tree, read_json, sha256_text
from saeflow.inventory import is_whole
from saeflow.work import bulk_of
from tiny_stores import harvest_hooks

HOOKS = ["resid_post.0", "mlp_out.1"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The hash of the store's bytes, and the number of points at which to interrupt it."""
    record = tmp_path_factory.mktemp("whole") / "resid_post.0.json"
    n = n_points(record)
    return hash_tree(write_store(record).final), n


def killed(processes, record, point):
    process = processes.Process(target=write_and_die, args=(record, point))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def check_resumes(record, whole):
    """Nothing that was committed is written again, and the bytes are those of one run."""
    (partial,) = [*record.parent.glob("*.partial"), *record.parent.glob("*.zarr")][:1]
    commits = [read_json(file) for file in partial.glob("_commit/*.json")]
    files = {c["file"]: (partial / c["file"]).stat().st_ino for c in commits}
    final = write_store(record).final
    assert hash_tree(final) == whole
    assert {name: (final / name).stat().st_ino for name in files} == files
    assert is_whole(final) and record.is_file()
    # Beside the store the copy of the record may stay, which is written without a lock.
    assert not list(final.rglob("*.tmp")) and not list(record.parent.glob("*.partial"))


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_killed_at_a_flush_or_rename_it_ends_with_the_same_bytes(whole, processes, tmp_path, share):
    record = tmp_path / "resid_post.0.json"
    killed(processes, record, int(share * whole[1]))
    check_resumes(record, whole[0])


@pytest.mark.slow
def test_killed_at_20_points_of_writing_and_finalising_it_ends_with_the_same_bytes(
    whole, processes, tmp_path
):
    points = np.random.default_rng(0).choice(np.arange(1, whole[1] + 1), 20, replace=False)
    for point in map(int, points):
        record = tmp_path / str(point) / "resid_post.0.json"
        killed(processes, record, point)
        check_resumes(record, whole[0])


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_bytes(whole, processes, tmp_path):
    record = tmp_path / "resid_post.0.json"
    for _ in range(6):
        killed(processes, record, 17)
    check_resumes(record, whole[0])


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9, 0.99])
def test_where_the_disk_is_full_nothing_committed_is_lost_and_the_file_is_named(
    whole, tmp_path, monkeypatch, share
):
    record = tmp_path / "resid_post.0.json"

    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    flush = counting(int(share * whole[1]), full)(os.fsync)
    monkeypatch.setattr(os, "fsync", flush)
    with pytest.raises(DiskFullError, match=f"{tmp_path}.*Free some space"):
        for _ in range(3):  # the flushes alone are fewer than the points
            write_store(record)
            subprocess.run(["rm", "-r", *map(str, tmp_path.iterdir())], check=True)
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.tmp"))
    check_resumes(record, whole[0])


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB; skips where nothing may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_really_full_loses_nothing_that_was_committed(whole, small_disk):
    """From no room at all to room for nearly everything."""
    failed = 0
    for free in (4, 24, 40, 80, 120, 160, 200, 240, 260):
        place = small_disk / "place"
        place.mkdir()
        (small_disk / "ballast").write_bytes(bytes((1024 - free) << 10))
        try:
            write_store(place / "resid_post.0.json")
        except DiskFullError as error:
            failed += 1
            assert str(place) in str(error) and "Free some space" in str(error)
        (small_disk / "ballast").unlink()
        assert not list(place.rglob("*.tmp"))
        if failed and list(place.glob("*.zarr*")):
            check_resumes(place / "resid_post.0.json", whole[0])
        subprocess.run(["rm", "-r", str(place)], check=True)
    assert failed >= 5


def test_rows_that_do_not_begin_at_their_shard_are_refused(tmp_path):
    """Zarr reads, changes and writes back a shard; two writers would lose rows silently."""
    record = tmp_path / "resid_post.0.json"
    path = write_store(record).final
    (path / ARRAY / "c" / "1" / "0").unlink()
    none = np.zeros(BLOCK, bool)
    layout = plan_layout(1_000, 64, "float16", SHARD)
    writer = ShardWriter(path, layout, "resid_post.0", {"model": "m"})
    with pytest.raises(StoreError, match="expected row 256 of shard 1; got row 300 of shard 1"):
        writer.append(300, rows()[300:400], none)
    writer.close()


def shard_file(path):
    return path / ARRAY / "c" / "1" / "0"


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


# What is lost of a finished store -> the shards that are computed again.
DAMAGE = {
    "a shard is deleted": (lambda path, rows: shard_file(path).unlink(), {1}),
    "a shard is cut": (lambda path, rows: cut(shard_file(path)), {1}),
    "a shard is emptied": (lambda path, rows: shard_file(path).write_bytes(b""), {1}),
    "a shard's bit is flipped": (lambda path, rows: flip(shard_file(path)), {1}),
    "a shard is written to": (lambda path, rows: alter(shard_file(path)), {1}),
    "a commit record is lost": (lambda path, rows: (path / "_commit/000002.json").unlink(), {2}),
    "sums are written to": (lambda path, rows: alter(path / "_commit/000000.sums"), {0}),
    "sums are altered": (lambda path, rows: flip(path / "_commit/000000.sums"), {0}),
    "the mean is altered": (lambda path, rows: flip(path / "mean" / "c" / "0"), set()),
    "the std is lost": (lambda path, rows: (path / "std" / "c" / "0").unlink(), set()),
    "the array's metadata are cut": (lambda path, rows: cut(path / ARRAY / "zarr.json"), set()),
    "the manifest is lost": (lambda path, rows: (path / "manifest.json").unlink(), set()),
    "the manifest is altered": (
        lambda path, rows: edit(path / "manifest.json", ": 1", ": 2"),
        set(),
    ),
    "the inventory is altered": (lambda path, rows: flip(path / "files.json"), set()),
    "a column is lost": (lambda path, rows: (rows / "flags" / "c" / "0").unlink(), set()),
    "a column is written to": (lambda path, rows: alter(rows / "flags" / "c" / "0"), set()),
    "a column is altered": (lambda path, rows: flip(rows / "token_id" / "c" / "0"), set()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_of_damaged_stores_only_what_was_lost_is_redone(
    model_record, equal, tmp_path, monkeypatch, damage, capsys
):
    records = harvest_hooks(tmp_path, HOOKS, model_record, equal, identity=sha256_text)
    before = {hook: hash_tree(bulk_of(record)) for hook, record in records.items()}
    path = bulk_of(records[HOOKS[0]])
    rows_path = tmp_path / read_json(records[HOOKS[0]])["rows"]
    rows_before = hash_tree(rows_path)
    harm, shards = DAMAGE[damage]
    harm(path, rows_path)
    if is_whole(path):  # only hashes show it
        assert main(["verify", "--discard", str(tmp_path)]) == 0
    assert not is_whole(path)
    computed = set()
    append = ShardWriter.append

    def watched(self, start, x, excluded):
        computed.update(
            {s for s in range(start // 256, -(-(start + len(x)) // 256))} & self.missing
        )
        append(self, start, x, excluded)

    monkeypatch.setattr(ShardWriter, "append", watched)
    harvest_hooks(tmp_path, HOOKS, model_record, equal, identity=sha256_text)
    assert computed == shards
    assert {hook: hash_tree(bulk_of(record)) for hook, record in records.items()} == before
    assert hash_tree(rows_path) == rows_before
    assert all(is_whole(bulk_of(record)) for record in records.values())
