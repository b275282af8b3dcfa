from collections import namedtuple

import numpy as np
import pytest

from saeflow.activations import room
from saeflow.activations.layout import plan_layout
from saeflow.activations.room import check_room, missing_bytes, reserve
from saeflow.activations.writer import ShardWriter
from saeflow.code import NEUTRAL
from saeflow.errors import DiskFullError
from tiny_stores import harvest_hooks

MIB = 1 << 20
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def disk(monkeypatch):
    """Return a function that says how much is free on a disk of 100 GiB."""

    def set_free(n_bytes):
        usage = Usage(100 << 30, 0, n_bytes)
        monkeypatch.setattr(room.shutil, "disk_usage", lambda _: usage)

    return set_free


@pytest.fixture
def writers(tmp_path):
    """Two hooks of 600 rows of width 8 in float32, in shards of 256 rows."""
    layout = plan_layout(600, 8, "float32", 256)
    return [ShardWriter(tmp_path / name, layout, name, {}) for name in ("hook.a", "hook.b")]


def test_what_is_missing_is_whole_shards_with_their_index(writers):
    # 256 rows of 32 bytes and an index of 20; the last 88 rows fill a chunk of 256 too
    shard = 256 * 32 + 16 + 4
    assert missing_bytes(writers) == 2 * 3 * shard
    writers[0].missing.discard(1)
    assert missing_bytes(writers) == 5 * shard


def test_the_reserve_is_a_fiftieth_and_a_quarter_of_a_gibibyte_or_a_hundredth_of_the_disk():
    assert reserve(100 * MIB, 1 << 50) == 2 * MIB + 256 * MIB
    assert reserve(100 * MIB, 1000 * MIB) == 2 * MIB + 10 * MIB


def test_the_disk_must_hold_what_is_missing_and_the_reserve_to_the_byte(writers, disk):
    needed = missing_bytes(writers)
    enough = needed + reserve(needed, 100 << 30)
    disk(enough)
    check_room(writers)
    disk(enough - 1)
    with pytest.raises(DiskFullError):
        check_room(writers)


def test_the_refusal_names_figures_and_choices(writers, disk):
    disk(10 * MIB)
    with pytest.raises(DiskFullError) as caught:
        check_room(writers)
    text = str(caught.value)
    figures = "6 missing shards of hook.a, hook.b|600 rows of width 8 in float32|10.00 MiB"
    choices = "tokens|fewer hooks|temporary: true|live: true|another disk|clean"
    for part in f"{figures}|{choices}".split("|"):
        assert part in text


def test_shards_that_are_written_need_no_room(writers, disk):
    disk(0)
    for writer in writers:
        writer.missing.clear()
    check_room(writers)


def test_a_part_of_a_harvest_needs_room_for_what_the_others_write_too(tmp_path, disk):
    layout = plan_layout(1000, 8, "float32", 256)
    shard = 256 * 32 + 16 + 4
    first, second = (
        ShardWriter(tmp_path / "hook.a", layout, "hook.a", {}, shards)
        for shards in (range(2), range(2, 4))
    )
    for writer in (first, second):
        assert missing_bytes([writer]) == 4 * shard
    disk(3 * shard)
    with pytest.raises(DiskFullError, match="4 missing shards"):
        check_room([second])
    x, none = np.zeros((1000, 8), np.float32), np.zeros(1000, bool)
    first.append(0, x[:356], none[:356])  # a shard, and 100 rows of the next
    assert first.missing == {1}
    assert missing_bytes([second]) == 3 * shard - 100 * 32
    first.append(356, x[356:512], none[356:512])
    assert first.missing == set()
    assert missing_bytes([second]) == 2 * shard
    disk(0)
    check_room([first])  # which has nothing left to write


def test_a_harvest_refuses_before_it_loads_the_model(
    model_record, equal, tmp_path, disk, monkeypatch
):
    disk(0)
    monkeypatch.setattr(
        "saeflow.activations.harvest.load_model", lambda *_: pytest.fail("it was loaded")
    )
    with pytest.raises(DiskFullError, match="resid_post.0"):
        harvest_hooks(tmp_path / "place", ["resid_post.0"], model_record, equal)
    assert not (tmp_path / "place" / "resid_post.0.json").exists()


def test_the_check_is_no_part_of_what_activations_are_made_from():
    assert "saeflow.activations.room" in NEUTRAL
