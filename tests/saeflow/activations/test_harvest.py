import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from killed_writers import at_commit, die
from saeflow.activations.forward import windows
from saeflow.activations.reader import open_store
from saeflow.errors import DamagedError, ModelError
from saeflow.files import hash_tree
from saeflow.interrupt import Interrupted
from saeflow.models.hooks import Hook
from saeflow.models.load import load_model
from saeflow.models.slices import run_until
from saeflow.tokens.store import open_tokens
from saeflow.work import bulk_of
from tiny_models import make_model
from tiny_stores import SEQUENCES, harvest_hooks, harvest_tasks, make_tokens, save_model


@pytest.fixture(scope="module")
def model():
    return make_model("gpt_neox")


def hash_of(record):
    return hash_tree(bulk_of(record))


def recomputed(model, tokens, hook):
    """The rows at a hook, one unpadded sequence after the other."""
    found = []
    for index in range(tokens.n_sequences):
        ids = torch.from_numpy(tokens.sequence(index).astype(np.int64))[None]
        found.append(run_until(model, ids, None, [hook])[hook][0])
    return torch.cat(found)


def test_each_row_is_the_activation_of_its_own_token_also_at_shard_borders(
    model, model_record, tokens, tmp_path
):
    hooks = ["resid_post.1", "attn_out.2", "resid_pre.0"]
    records = harvest_hooks(tmp_path, hooks, model_record, tokens)
    source = open_tokens(tokens)
    for hook, record in records.items():
        store = open_store(record)
        expected = recomputed(model, source, Hook.parse(hook))
        assert store.n_rows == len(expected) == source.n_tokens > 2 * 256
        torch.testing.assert_close(
            store.activations.tensor(slice(None)), expected, rtol=1e-5, atol=1e-5
        )
        for name in ("token_id", "document", "position", "flags", "sequence_offsets"):
            assert np.array_equal(store.rows[name], source[name])
        assert store.ranges("test") == source.token_range("test")


def test_a_batch_never_has_more_tokens_than_asked_for_padding_included(tokens):
    store = open_tokens(tokens)
    lengths = np.diff(store.sequence_offsets)
    taken = []
    for window in windows(store, 100):
        for batch in window.batches:
            assert len(batch) * lengths[batch].max() <= 100
            taken += batch.tolist()
    assert sorted(taken) == list(range(store.n_sequences))


def test_the_statistics_are_those_of_the_ordinary_tokens(model_record, tokens, tmp_path):
    (record,) = harvest_hooks(
        tmp_path, ["resid_post.2"], model_record, tokens, dtype="bfloat16"
    ).values()
    store = open_store(record)
    x = store.activations.tensor(slice(None)).double()[torch.from_numpy(store.rows.flags == 0)]
    assert len(x) < store.n_rows
    np.testing.assert_allclose(store.mean, x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(store.std, x.std(0, correction=0), rtol=1e-5)
    assert store.record["rms"] == pytest.approx(float(x.square().mean().sqrt()))
    assert store.record["mean_norm"] == pytest.approx(float(x.norm(dim=1).mean()))
    assert store.record["n_included_rows"] == len(x)


def test_a_hook_has_the_same_bytes_alone_and_with_others(model_record, tokens, tmp_path):
    alone = harvest_hooks(tmp_path / "alone", ["resid_post.0"], model_record, tokens)
    together = harvest_hooks(tmp_path / "all", ["mlp_out.2", "resid_post.0"], model_record, tokens)
    assert hash_of(alone["resid_post.0"]) == hash_of(together["resid_post.0"])


def test_adding_a_hook_leaves_the_stores_that_exist_alone(model_record, tokens, tmp_path):
    harvest_hooks(tmp_path, ["resid_post.0"], model_record, tokens)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file()}
    harvest_hooks(tmp_path, ["resid_post.1"], model_record, tokens)
    assert all(
        (p.stat().st_mtime_ns, p.read_bytes()) == facts
        for p, facts in before.items()
        if p.suffix != ".lock"
    )


def test_a_damaged_column_of_the_tokens_is_noticed_when_it_is_copied(model_record, tmp_path):
    tokens = make_tokens(tmp_path, {"train": [32] * 20})
    column = open_tokens(tokens).path / "document_position" / "c" / "0"
    content = bytearray(column.read_bytes())
    content[len(content) // 2] ^= 1
    column.write_bytes(content)
    with pytest.raises(DamagedError, match="document_position/c/0"):
        harvest_hooks(tmp_path / "a", ["resid_post.0"], model_record, tokens)


@pytest.mark.parametrize("changed", ["tokens", "weights", "dtype"])
def test_the_same_names_with_other_content_never_reuse_a_store(
    model_record, tokens, tmp_path, changed
):
    """The identity differs, so the second harvest neither finds the first store nor harms it."""
    place, hook = tmp_path / "place", "resid_post.0"

    def store(identity, model, tokens, dtype="float32"):
        record = place / f"{hook}.json"
        harvest_hooks(place, [hook], model, tokens, identity=lambda _: identity, dtype=dtype)
        return bulk_of(record)

    first = store("a" * 64, model_record, tokens)
    before = hash_tree(first)
    other = {"model": model_record, "tokens": tokens}
    if changed == "tokens":
        other["tokens"] = make_tokens(tmp_path / "other", SEQUENCES["ragged"], seed=1)
    elif changed == "weights":
        other["model"] = save_model(make_model("gpt_neox", seed=1), tmp_path / "other.json")
    else:
        other["dtype"] = "bfloat16"
    second = store("b" * 64, **other)
    assert second != first
    assert hash_tree(first) == before != hash_tree(second)
    assert open_store(place / f"{hook}.json").path == second
    kept = place / "kept.json"
    shutil.copy(first / "manifest.json", kept)
    x = open_store(kept).activations.tensor(slice(None))
    torch.testing.assert_close(
        x, recomputed(load_model(model_record), open_tokens(tokens), Hook.parse(hook))
    )


def test_hooks_that_are_ahead_wait_for_the_others_without_being_computed_again(
    model_record, equal, tmp_path, monkeypatch
):
    tokens, both = equal, ["resid_post.0", "resid_post.2"]
    whole = harvest_hooks(tmp_path / "whole", both, model_record, tokens)
    place = tmp_path / "torn"
    harvest_hooks(place, ["resid_post.0"], model_record, tokens)
    asked = []

    def counting(model, ids, mask, hooks, take):
        asked.append([str(h) for h in hooks])
        return run_until(model, ids, mask, hooks, take)

    monkeypatch.setattr("saeflow.activations.forward.run_until", counting)
    torn = harvest_hooks(place, both, model_record, tokens)
    assert {tuple(hooks) for hooks in asked} == {("resid_post.2",)}
    for hook, record in torn.items():
        assert hash_of(record) == hash_of(whole[hook])


def test_sigterm_ends_it_after_the_batch_with_nothing_lost(
    model_record, equal, tmp_path, monkeypatch
):
    tokens = equal
    whole = harvest_hooks(tmp_path / "whole", ["resid_post.0"], model_record, tokens)
    passes = []

    def terminated(*arguments):
        passes.append(None)
        if len(passes) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return run_until(*arguments)

    monkeypatch.setattr("saeflow.activations.forward.run_until", terminated)
    with pytest.raises(Interrupted):
        harvest_hooks(tmp_path / "torn", ["resid_post.0"], model_record, tokens)
    assert len(passes) == 4
    assert not list((tmp_path / "torn").rglob("*.tmp"))
    monkeypatch.undo()
    torn = harvest_hooks(tmp_path / "torn", ["resid_post.0"], model_record, tokens)
    assert hash_of(torn["resid_post.0"]) == hash_of(whole["resid_post.0"])


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory):
    """A model whose residual stream leaves float16 in its second block."""
    large = make_model("gpt_neox")
    large.gpt_neox.layers[1].mlp.dense_4h_to_h.bias.data[3] = 70_000.0
    return save_model(large, tmp_path_factory.mktemp("large") / "model.json")


@pytest.mark.parametrize("live", [False, True])
def test_a_hook_that_overflows_or_is_lacking_leaves_the_others_alone(
    overflowing, equal, tmp_path, live
):
    tokens = equal
    good = ["resid_post.0", "attn_out.1"]
    options = {"dtype": "float16", "live": live}
    for place, hooks in (("first", ["resid_post.1", "resid_post.3", *good]),
                         ("last", [*good, "resid_post.3", "resid_post.1"])):  # fmt: skip
        tasks = harvest_tasks(tmp_path / place, hooks, overflowing, tokens, **options)
        errors = {task.settings["hook"]: str(task.error) for task in tasks if task.error}
        assert set(errors) == {"resid_post.1", "resid_post.3"}
        where = r"resid_post\.1" if live else r"resid_post\.1, shard 0, row 0, dimension 3"
        assert re.search(where + ".*bfloat16", errors["resid_post.1"])
        assert "no hook resid_post.3" in errors["resid_post.3"]
        for task in tasks:
            assert task.finished == task.output.exists() == (task.settings["hook"] in good)
        assert not list(tmp_path.rglob("*.tmp"))
        alone = harvest_hooks(tmp_path / f"{place} alone", good, overflowing, tokens, **options)
        for hook, record in alone.items():
            assert hash_of(record) == hash_of(tmp_path / place / f"{hook}.json")
    harvest_hooks(tmp_path / "b", ["resid_post.1"], overflowing, tokens, dtype="bfloat16")


def test_a_part_with_a_hook_that_overflows_leaves_the_others_alone(overflowing, equal, tmp_path):
    hooks = ["resid_post.1", "resid_post.0"]
    for part in ((1, 2), (2, 2), None):
        options = {"dtype": "float16", "part": part}
        tasks = harvest_tasks(tmp_path / "a", hooks, overflowing, equal, **options)
        assert "bfloat16" in str(tasks[0].error) and tasks[1].error is None
    assert tasks[1].finished and not tasks[0].finished


def test_a_model_with_another_tokenizer_is_refused_and_the_same_under_another_name_accepted(
    model, equal, tmp_path
):
    other = save_model(model, tmp_path / "other" / "model.json", tokenizer="w" * 64)
    with pytest.raises(ModelError, match="another tokenizer"):
        harvest_hooks(tmp_path / "a", ["resid_post.0"], other, equal)
    same = save_model(model, tmp_path / "renamed" / "model.json")
    harvest_hooks(tmp_path / "b", ["resid_post.0"], same, equal)


def test_a_model_without_a_known_tokenizer_must_at_least_have_the_ids(model, equal, tmp_path):
    record = save_model(model, tmp_path / "bare" / "model.json", tokenizer=None)
    harvest_hooks(tmp_path / "a", ["resid_post.0"], record, equal)
    beyond = make_tokens(tmp_path / "beyond", {"train": [32] * 20}, max_token_id=61)
    with pytest.raises(ModelError, match="outside the model's vocabulary.*below 61; got 61"):
        harvest_hooks(tmp_path / "b", ["resid_post.0"], record, beyond)


def test_sequences_longer_than_the_model_are_refused(model_record, tmp_path):
    tokens = make_tokens(tmp_path, {"train": [33, 10], "validation": [], "test": []})
    with pytest.raises(ModelError, match="at most 32 tokens; got 33"):
        harvest_hooks(tmp_path / "a", ["resid_post.0"], model_record, tokens)


def test_hooks_that_the_model_lacks_are_refused_before_anything_is_computed(
    model_record, equal, tmp_path, monkeypatch
):
    monkeypatch.setattr("saeflow.activations.forward.run_until", None)
    with pytest.raises(ModelError, match=r"no hook resid_post\.3"):
        harvest_hooks(tmp_path / "a", ["resid_post.3"], model_record, equal)


def test_a_store_of_something_else_in_a_place_fails_alone(model_record, equal, tmp_path):
    hooks, place = ["resid_post.0", "resid_post.1"], tmp_path / "b"
    made = harvest_hooks(tmp_path / "a", hooks[:1], model_record, equal, dtype="float16")
    other = bulk_of(made["resid_post.0"])
    shutil.copytree(other, place / f"{other.name}.partial")
    tasks = harvest_tasks(place, hooks, model_record, equal)
    assert "a store of something else" in str(tasks[0].error)
    assert tasks[1].finished and not tasks[0].finished


def harvest_and_die(n_commits, *arguments):
    """Harvest, and die after so many commits; with 0 live."""
    at_commit(n_commits, die)
    harvest_hooks(*arguments)


@pytest.mark.parametrize(
    "lengths",
    ["ragged", pytest.param("equal", marks=pytest.mark.slow)],
)
def test_killed_at_random_points_it_ends_with_the_bytes_of_an_uninterrupted_run(
    model_record, tmp_path, lengths, processes
):
    tokens = make_tokens(tmp_path, {s: every * 4 for s, every in SEQUENCES[lengths].items()})
    hooks, rng = ["resid_post.0", "mlp_out.2"], np.random.default_rng(0)
    whole, place = tmp_path / "whole", tmp_path / "torn"

    def ended(place, n_commits):
        arguments = (n_commits, place, hooks, model_record, tokens)
        process = processes.Process(target=harvest_and_die, args=arguments)
        process.start()
        process.join()
        return process.exitcode

    assert ended(whole, 0) == 0
    codes = [ended(place, 1)]
    while codes[-1] == -signal.SIGKILL:
        codes.append(ended(place, int(rng.integers(3, 7))))
    assert len(codes) > 1 and codes[-1] == 0
    for hook in hooks:
        record = place / f"{hook}.json"
        assert hash_of(record) == hash_of(whole / f"{hook}.json")
        open_store(record).verify()
    assert not list(place.rglob("*.tmp"))


PEAKS = """
import sys
from pathlib import Path
from saeflow.activations import fill
from tiny_stores import SEQUENCES, harvest_hooks

def peak():
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM:")).split()[1])

def noting(tokens, batch_tokens):
    for number, window in enumerate(windows(tokens, batch_tokens)):
        if number in (50, 499):
            print(number, peak())
        yield window

windows, fill.windows = fill.windows, noting
place, model, tokens = map(Path, sys.argv[1:])
hooks = ["resid_post.0", "resid_post.1", "mlp_out.2"]
harvest_hooks(place, hooks, model, tokens, batch_tokens=4 * 32, shard_rows=8192)
"""


@pytest.mark.slow
def test_the_peak_of_memory_after_fifty_steps_is_that_of_five_hundred(model_record, tmp_path):
    tokens = make_tokens(tmp_path, {"train": [32] * 2000, "validation": [], "test": []})
    done = subprocess.run(
        [sys.executable, "-c", PEAKS, str(tmp_path / "place"), str(model_record), str(tokens)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    peaks = dict(map(int, line.split()) for line in done.stdout.splitlines())
    assert set(peaks) == {50, 499}
    assert peaks[499] < 1.01 * peaks[50]
