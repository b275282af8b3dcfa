import os
import shutil
import signal
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from killed_writers import at_commit, die
from saeflow.activations import harvest
from saeflow.activations.layout import shards_of
from saeflow.activations.reader import open_store
from saeflow.files import hash_tree, read_json
from saeflow.models.slices import run_until
from saeflow.work import bulk_of
from tiny_stores import harvest_hooks, make_tokens

LENGTHS = {"train": [30, 5, 17, 32, 2, 9, 32, 21, 14, 28, 3, 32] * 8, "test": [32, 1, 8]}
LENGTHS = {**LENGTHS, "validation": [11, 7]}
HOOKS = ["resid_post.0", "mlp_out.2"]


def contents(records):
    return {hook: hash_tree(bulk_of(record)) for hook, record in records.items()}


@pytest.fixture(scope="module")
def sources(model_record, tmp_path_factory):
    """A model, its tokens (seven shards and a bit) and the stores that one job makes of them."""
    root = tmp_path_factory.mktemp("sources")
    tokens = make_tokens(root, LENGTHS)
    whole = harvest_hooks(root / "whole", [*HOOKS, "resid_post.1"], model_record, tokens)
    return model_record, tokens, contents(whole)


def check_whole(place, sources):
    """What a call without a part gives are the bytes of one job."""
    model, tokens, whole = sources
    records = harvest_hooks(place, HOOKS, model, tokens)
    assert contents(records) == {hook: whole[hook] for hook in HOOKS}
    return records


def part(place, model, tokens, number, of, hooks=HOOKS):
    """Do one part, as the script does."""
    harvest_hooks(place, hooks, model, tokens, part=(number, of))


def commits(place, hook=HOOKS[0]):
    return sorted(int(path.stem) for path in place.glob(f"{hook}.*/_commit/*.json"))


def counting(monkeypatch):
    """Count the tokens of each hook that go through the model from now on."""
    asked = {}

    def count(model, ids, mask, hooks, take):
        for hook in hooks:
            asked[str(hook)] = asked.get(str(hook), 0) + ids.numel()
        return run_until(model, ids, mask, hooks, take)

    monkeypatch.setattr("saeflow.activations.forward.run_until", count)
    return asked


@pytest.mark.parametrize("n_shards", [1, 2, 7, 40])
@pytest.mark.parametrize("of", [1, 2, 3, 8])
def test_the_parts_take_each_shard_once_and_alike(n_shards, of):
    parts = [shards_of(part, of, n_shards) for part in range(1, of + 1)]
    assert [shard for shards in parts for shard in shards] == list(range(n_shards))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("of", [2, 3])
def test_parts_in_any_order_give_the_bytes_of_one_job(sources, tmp_path, of, monkeypatch):
    model, tokens, whole = sources
    for number in range(of, 0, -1):
        done = commits(tmp_path)
        part(tmp_path, model, tokens, number, of)
        assert commits(tmp_path)[: -len(done) or None] == [*shards_of(number, of, 8)]
    assert not any((tmp_path / f"{hook}.json").exists() for hook in HOOKS)  # none is finished
    asked = counting(monkeypatch)
    records = check_whole(tmp_path, sources)
    assert not asked  # the gather computes nothing
    for record in records.values():
        open_store(record).verify()


def test_a_lost_part_costs_only_its_own_shards(sources, tmp_path, monkeypatch):
    model, tokens, whole = sources
    part(tmp_path, model, tokens, 1, 2)
    asked = counting(monkeypatch)
    records = check_whole(tmp_path, sources)
    n_tokens = read_json(records[HOOKS[0]])["n_rows"]
    assert 0 < asked[HOOKS[0]] < 0.75 * n_tokens


def test_a_receipt_whose_shards_are_gone_deceives_nobody(sources, tmp_path):
    model, tokens, whole = sources
    for number in (1, 2):
        part(tmp_path, model, tokens, number, 2)
    for directory in tmp_path.glob("*.zarr.partial"):
        shutil.rmtree(directory)
    check_whole(tmp_path, sources)


def test_a_hook_that_is_added_afterwards_is_the_only_one_computed(sources, tmp_path, monkeypatch):
    model, tokens, whole = sources
    harvest_hooks(tmp_path, HOOKS, model, tokens)
    asked = counting(monkeypatch)
    for number in (1, 2):
        part(tmp_path, model, tokens, number, 2, [*HOOKS, "resid_post.1"])
    assert set(asked) == {"resid_post.1"}
    done = asked["resid_post.1"]
    records = harvest_hooks(tmp_path, [*HOOKS, "resid_post.1"], model, tokens)
    assert asked == {"resid_post.1": done}
    assert contents(records) == whole


def test_more_parts_than_shards_leave_some_with_nothing_to_do(sources, tmp_path, monkeypatch):
    model, tokens, _ = sources
    asked = counting(monkeypatch)
    part(tmp_path, model, tokens, 1, 50)
    assert not asked and not commits(tmp_path)


def part_that_dies(*arguments):
    at_commit(1, die)
    part(*arguments)


def part_that_stops(place, *arguments):
    """Compute a part, and stop at its first commit until somebody sends SIGCONT."""

    def stop():
        (place / "stopped").touch()
        os.kill(os.getpid(), signal.SIGSTOP)

    at_commit(1, stop)
    part(place, *arguments)


def started(processes, *arguments, target=part):
    process = processes.Process(target=target, args=arguments)
    process.start()
    return process


def test_parts_at_the_same_time_give_the_bytes_of_one_job(sources, tmp_path, processes):
    model, tokens, whole = sources
    running = [started(processes, tmp_path, model, tokens, number, 3) for number in (1, 2, 3)]
    for process in running:
        process.join()
        assert process.exitcode == 0
    assert commits(tmp_path) == [*range(8)]
    check_whole(tmp_path, sources)


def test_a_part_that_was_killed_continues_beside_another(sources, tmp_path, processes):
    model, tokens, whole = sources
    killed = started(processes, tmp_path, model, tokens, 2, 2, target=part_that_dies)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert list(tmp_path.rglob("_commit/*.json"))
    running = [started(processes, tmp_path, model, tokens, number, 2) for number in (1, 2)]
    for process in running:
        process.join()
        assert process.exitcode == 0
    assert not list(tmp_path.rglob("*.tmp"))
    check_whole(tmp_path, sources)


@pytest.mark.slow
def test_parts_do_not_wait_for_one_another(sources, tmp_path, processes):
    model, tokens, whole = sources
    first = started(processes, tmp_path, model, tokens, 1, 2, target=part_that_stops)
    while first.is_alive() and not (tmp_path / "stopped").exists():
        time.sleep(0.01)
    try:
        second = started(processes, tmp_path, model, tokens, 2, 2)
        second.join(300)
        assert second.exitcode == 0
        assert set(commits(tmp_path)) >= set(shards_of(2, 2, 8))
    finally:
        os.kill(first.pid, signal.SIGCONT)
    first.join()
    assert first.exitcode == 0
    check_whole(tmp_path, sources)


@pytest.mark.slow
def test_a_part_that_came_while_another_made_the_row_table_does_not_wait_for_its_harvest(
    sources, tmp_path, processes, monkeypatch
):
    """It looked before the table was there, and finds it held by one that computes."""
    model, tokens, _ = sources
    first = started(processes, tmp_path, model, tokens, 1, 2, target=part_that_stops)
    while first.is_alive() and not (tmp_path / "stopped").exists():
        time.sleep(0.01)
    hold, looked = harvest.hold, []

    @contextmanager
    def looking(*arguments, **options):
        with hold(*arguments, **options) as work:
            looked.append(options)
            yield work if looked[1:] else SimpleNamespace(finished=False)

    monkeypatch.setattr(harvest, "hold", looking)
    try:
        part(tmp_path, model, tokens, 2, 2)
        assert set(commits(tmp_path)) >= set(shards_of(2, 2, 8))
    finally:
        os.kill(first.pid, signal.SIGCONT)
    first.join()
    assert first.exitcode == 0 and looked == [{"shared": True}] * 2


@pytest.mark.slow
def test_the_store_is_completed_only_after_a_part_that_still_runs(sources, tmp_path, processes):
    model, tokens, whole = sources
    running = started(processes, tmp_path, model, tokens, 1, 1)
    while running.is_alive() and not list(tmp_path.glob("*.zarr.partial/_commit/*.json")):
        time.sleep(0.001)
    check_whole(tmp_path, sources)
    running.join()
    assert running.exitcode == 0
