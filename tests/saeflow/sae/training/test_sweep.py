"""Training from a store: shared passes, resuming, and what is refused."""

from __future__ import annotations

import csv
import functools
import itertools
import os
import pkgutil
import random
import re
import signal
import struct
from pathlib import Path

import pytest
import torch

from damage import put
from killed_writers import counting
from sae_stores import (
    ORIGIN,
    content,
    let_diverge,
    make_activations,
    place,
    sparse_data,
    stopped,
    task_of,
    train_saes,
)
from saeflow.errors import ConfigError, DataError, ModelError
from saeflow.files import read_json
from saeflow.sae.saved.load import load_sae
from saeflow.sae.training import checkpoint, trainee
from saeflow.sae.training.sweep import train_sweep
from tiny_stores import make_store

COMMON = {"expansion": 2, "batch_size": 128, "log_tokens": 512, "dead_tokens": 400, "seed": 0}
RELU = {"architecture": "relu", "l1": 0.01, **COMMON}
TOPK = {"architecture": "topk", "k": 3, **COMMON, "seed": 11}
SWEEP = {
    "relu": RELU,
    "relu-seed-1": {**RELU, "seed": 1},
    "topk": TOPK,
    "wide": {**TOPK, "expansion": 5, "tokens": 1024},
    "twice": {**TOPK, "epochs": 2},
    "small-batches": {**RELU, "batch_size": 64},
    "other-order": {**RELU, "order_seed": 1},
    "first-half": {**RELU, "part": "1/2", "scale_input": "unit"},
    "second-half": {**TOPK, "part": "2/2", "epochs": 2, "resample_tokens": 500},
}


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    return make_activations(tmp_path_factory.mktemp("activations"))


@pytest.fixture(scope="module")
def together(tmp_path_factory, activations):
    root = tmp_path_factory.mktemp("together")
    works = {name: place(root, name) for name in SWEEP}
    train_saes([(works[name], SWEEP[name]) for name in SWEEP], activations)
    return {name: content(work) for name, work in works.items()}


@pytest.mark.parametrize("name", list(SWEEP))
def test_an_sae_of_a_sweep_is_the_one_trained_alone(name, together, activations, tmp_path):
    work = place(tmp_path, name)
    train_saes([(work, SWEEP[name])], activations)
    assert content(work) == together[name]
    assert {"cfg.json", "log.csv", "sae_weights.safetensors"} <= set(together[name])


def test_seeds_move_the_weights_and_order_seeds_the_batches(together):
    weights = {name: files["sae_weights.safetensors"] for name, files in together.items()}
    assert len(set(weights.values())) == len(weights)


@pytest.mark.parametrize(("name", "split"), [("first-half", "train"), ("second-half", "test")])
def test_an_sae_of_a_part_is_one_of_a_store_that_trains_on_nothing_else(
    name, split, together, tmp_path
):
    """Of the 64 documents one half is in another split; in the store all lie where they were."""
    x = sparse_data(66 * 33, 12, 20, mean_l0=3)
    lengths = {"train": [33] * 32, "validation": [], "test": [33] * 34}
    if split == "test":
        lengths = {"validation": [33] * 32, "train": [33] * 32, "test": [33] * 2}
    half = make_store(tmp_path, x, lengths, hook="resid_post.0", **ORIGIN)
    work = place(tmp_path, name)
    train_saes([(work, {k: v for k, v in SWEEP[name].items() if k != "part"})], half)
    for file in ("sae_weights.safetensors", "log.csv"):
        assert content(work)[file] == together[name][file]


@pytest.mark.parametrize("change", [{}, {"l1": None, "target_l0": 4}])
def test_a_part_offers_its_own_rows_and_no_more(change, activations, tmp_path):
    recipe = {**RELU, **change, "part": "1/2", "tokens": 1025}
    with pytest.raises(DataError, match="at most 1,024 tokens"):
        train_saes([(place(tmp_path, "a"), recipe)], activations)


def test_training_reconstructs_better_than_it_began(together):
    for name in ("relu", "topk", "twice"):
        rows = list(csv.DictReader(together[name]["log.csv"].decode().splitlines()))
        assert float(rows[-1]["fvu"]) < 0.9 * float(rows[0]["fvu"]), name


def test_the_log_counts_what_was_trained(together, activations):
    rows = list(csv.DictReader(together["relu"]["log.csv"].decode().splitlines()))
    assert [int(r["tokens"]) for r in rows] == [512, 1024, 1536, 2048]
    assert [int(r["step"]) for r in rows] == [4, 8, 12, 16]
    topk = list(csv.DictReader(together["topk"]["log.csv"].decode().splitlines()))
    assert all(0 < float(r["l0"]) <= 3 for r in topk)
    for r in rows:
        expected = float(r["mse"]) + float(r["penalty"])
        assert float(r["loss"]) == pytest.approx(expected)


def test_the_record_says_what_was_trained_on_what(together, activations, tmp_path):
    work = place(tmp_path, "relu")
    train_saes([(work, RELU)], activations)
    record = work.manifest
    assert record["architecture"] == "relu" and record["settings"] == RELU
    assert (record["d_in"], record["d_sae"], record["hook"]) == (12, 24, "resid_post.0")
    assert record["model"] == ORIGIN["model"] and record["context_length"] == 33
    assert record["training"]["tokens"] == 2048
    assert record["training"]["final"]["step"] == 16


def test_decoder_rows_have_unit_norm_after_every_step(activations, tmp_path, monkeypatch):
    worst = []
    train = trainee.Trainee.train

    def watched(self, batch, workspace):
        train(self, batch, workspace)
        worst.append(float((self.weights["W_dec"].norm(dim=1) - 1).abs().max()))

    monkeypatch.setattr(trainee.Trainee, "train", watched)
    works = [place(tmp_path, name) for name in ("relu", "topk")]
    train_saes([(works[0], RELU), (works[1], TOPK)], activations)
    assert len(worst) == 32 and max(worst) < 1e-6
    for work in works:
        norms = load_sae(work.final).W_dec.norm(dim=1)
        torch.testing.assert_close(norms, torch.ones(24), atol=1e-6, rtol=0)


NAMES = ("relu", "topk", "wide", "twice", "small-batches")


def in_child(action):
    """Run ``action`` in a forked process and return how it ended, as `os.waitpid` says it."""
    child = os.fork()
    if not child:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def train_all(root, activations):
    works = [(place(root, name), SWEEP[name]) for name in NAMES]
    train_saes(works, activations, checkpoint_s=0)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_killed_at_random_moments_it_ends_at_the_same_bytes(
    signum, together, activations, tmp_path
):
    moments, ends = random.Random(int(signum)), []

    def signalled(moment):
        count = counting(moment, lambda: os.kill(os.getpid(), signum))
        trainee.Trainee.train = count(trainee.Trainee.train)
        os.fsync, Path.replace = count(os.fsync), count(Path.replace)
        train_all(tmp_path, activations)

    for moment in (10, *(moments.randrange(1, 200) for _ in range(7))):
        ends.append(in_child(functools.partial(signalled, moment)))
    assert ends[0] != 0
    assert any(place(tmp_path, name).path.exists() for name in NAMES)
    assert in_child(lambda: train_all(tmp_path, activations)) == 0
    for name in NAMES:
        assert content(place(tmp_path, name)) == together[name], name


@pytest.mark.parametrize(
    "moment", ["os.fsync", "saeflow.sae.training.trainee.TrainLog.state",
               "pathlib.Path.unlink", "saeflow.work.sync_tree"]
)  # fmt: skip
@pytest.mark.parametrize("n_calls", [1, 2, 7])
def test_killed_at_a_chosen_moment_of_saving_it_ends_at_the_same_bytes(
    moment, n_calls, together, activations, tmp_path
):
    def killed():
        target, name = moment.rsplit(".", 1)
        original = pkgutil.resolve_name(moment)
        calls = itertools.count(1)

        def deadly(*args, **options):
            if next(calls) == n_calls:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **options)

        setattr(pkgutil.resolve_name(target), name, deadly)
        train_all(tmp_path, activations)

    status = in_child(killed)
    assert os.WIFSIGNALED(status) or n_calls > len(NAMES)
    assert in_child(lambda: train_all(tmp_path, activations)) == 0
    for name in NAMES:
        assert content(place(tmp_path, name)) == together[name], name


def test_a_log_that_lost_rows_starts_the_training_anew(together, activations, tmp_path):
    work = place(tmp_path, "relu")
    with stopped(9):
        train_saes([(work, RELU)], activations, checkpoint_s=0)
    (work.path / "log.csv").write_text("")
    train_saes([(work, RELU)], activations)
    assert content(work) == together["relu"]


def test_a_request_to_stop_saves_first_and_the_next_run_goes_on(
    together, activations, tmp_path, monkeypatch
):
    work = place(tmp_path, "relu")
    with stopped(5):
        train_saes([(work, RELU)], activations, checkpoint_s=0)
    assert checkpoint.load(work.path)[1]["n_done"] == 5
    train, done = trainee.Trainee.train, []
    monkeypatch.setattr(
        trainee.Trainee, "train", lambda self, *a: (train(self, *a), done.append(self.n_done))
    )
    train_saes([(work, RELU)], activations)
    assert done[0] == 6
    assert content(work) == together["relu"]


def test_those_further_on_wait_for_the_others(together, activations, tmp_path):
    names = ("relu", "topk")
    works = [(place(tmp_path, name), SWEEP[name]) for name in names]
    with stopped(9):
        train_saes(works[:1], activations, checkpoint_s=0)
    with stopped(4, of=works[1][0]):
        train_saes(works, activations, checkpoint_s=0)
    assert [checkpoint.load(work.path)[1]["n_done"] for work, _ in works] == [9, 4]
    train_saes(works[:1], activations)
    train_saes(works, activations)
    for name, (work, _) in zip(names, works, strict=True):
        assert content(work) == together[name]


def test_a_result_without_its_manifest_is_completed_not_trained_again(
    together, activations, tmp_path, monkeypatch
):
    work = place(tmp_path, "relu")
    monkeypatch.setattr("saeflow.work.Work.finish", lambda self, manifest: None)
    train_saes([(work, RELU)], activations)
    monkeypatch.undo()
    monkeypatch.setattr(trainee.Trainee, "train", None)
    train_saes([(work, RELU)], activations)
    assert content(work) == together["relu"]


def test_more_tokens_than_there_are_is_an_error_that_says_how_many(activations, tmp_path):
    with pytest.raises(DataError, match=r"at most 2,048 tokens.*got 2,049"):
        train_saes([(place(tmp_path, "a"), {**RELU, "tokens": 2049})], activations)
    with pytest.raises(DataError, match=r"2 epochs of 2,048.*got 4,097"):
        train_saes([(place(tmp_path, "a"), {**RELU, "tokens": 4097, "epochs": 2})], activations)
    with pytest.raises(DataError, match="one batch"):
        train_saes([(place(tmp_path, "a"), {**RELU, "batch_size": 4096})], activations)


def test_special_tokens_are_not_trained_on(tmp_path):
    x = sparse_data(66 * 33, 12, 20, mean_l0=3)
    expected = place(tmp_path, "expected")
    train_saes([(expected, RELU)], make_activations(tmp_path / "a", x=x))
    huge = x.clone()
    huge[::33] = 1e6  # every sequence begins with BOS
    found = place(tmp_path, "found")
    train_saes([(found, RELU)], make_activations(tmp_path / "b", x=huge))
    weights = "sae_weights.safetensors"
    assert content(found)[weights] == content(expected)[weights]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_name_hook_step_row_and_shard(value, tmp_path):
    record = make_activations(tmp_path)
    row = 400  # of the second shard of 256 rows, 12 numbers each
    shard = next(tmp_path.glob("resid_post.0.*.zarr")) / "activations" / "c" / "1" / "0"
    put(shard, (row - 256) * 12 * 4, struct.pack("<f", value))
    tasks = [task_of(place(tmp_path, n), RELU, activations=record) for n in "ab"]
    train_sweep(tasks)
    assert not any(task.finished for task in tasks)
    (error,) = {task.error for task in tasks}  # it is nobody's own
    assert isinstance(error, DataError)
    assert re.search(r"resid_post\.0 > step \d+.*not finite", str(error))
    assert f"{value} in row {row}, dimension 0, shard {shard}" in str(error)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 1}, r"resid_post.0 > relu SAE \(seed 0\) > step .*diverged"),
        ({"tokens": 2049}, "more activations than there are"),
        ({"l2": 1.0}, "unknown key 'l2'"),
    ],
)
def test_one_that_fails_is_named_and_leaves_the_others_alone(
    first, change, message, together, activations, tmp_path, monkeypatch
):
    let_diverge(monkeypatch)
    good = [task_of(place(tmp_path, n), SWEEP[n], activations=activations) for n in NAMES[:2]]
    bad = task_of(place(tmp_path, "bad"), {**RELU, **change}, activations=activations)
    train_sweep([bad, *good] if first else [*good, bad])
    assert re.search(message, str(bad.error)) and not bad.finished
    for name, task in zip(NAMES, good, strict=False):
        assert task.error is None and read_json(task.output) == task.work.manifest
        assert content(task.work) == together[name]


def test_one_whose_result_cannot_be_written_leaves_the_others_alone(
    together, activations, tmp_path, monkeypatch
):
    result = trainee.Trainee.result

    def refused(self):
        if self.n_done == self.n_steps and self.work.output.parent.name == "bad":
            raise ModelError("no evidence")
        return result(self)

    monkeypatch.setattr(trainee.Trainee, "result", refused)
    tasks = [task_of(place(tmp_path, n), RELU, activations=activations) for n in ("bad", "relu")]
    train_sweep(tasks)
    assert "no evidence" in str(tasks[0].error) and not tasks[0].finished
    assert content(tasks[1].work) == together["relu"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"l2": 1.0}, "unknown key 'l2'"),
        ({"batch_size": 0}, "batch_size: .*at least 1; got 0"),
        ({"learning_rate": "fast"}, "learning_rate: .*a number; got fast"),
        ({"architecture": "rellu"}, "there is no 'rellu'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(change, message, activations, tmp_path):
    with pytest.raises(ValueError, match=message):
        train_saes([(place(tmp_path, "a"), {**RELU, **change})], activations)


def test_a_missing_setting_is_named(activations, tmp_path):
    settings = {name: value for name, value in RELU.items() if name != "l1"}
    with pytest.raises(ConfigError, match="l1"):
        train_saes([(place(tmp_path, "a"), settings)], activations)
