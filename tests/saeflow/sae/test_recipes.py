"""Every architecture with every option: together as alone, killed as not, in training as done."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sae_recipes import recipes
from sae_stores import content, make_activations, place, train_saes
from saeflow.interrupt import Interrupted
from saeflow.sae.saved.load import load_sae
from saeflow.sae.steps.initial import generator_of
from saeflow.sae.training import checkpoint, trainee

RECIPES = recipes()
N_STEPS = 16
KILLED = [name for name in RECIPES if name.endswith(("+", "-bf16"))]


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    return make_activations(tmp_path_factory.mktemp("activations"))


def train(root, activations, names=tuple(RECIPES), **options):
    """Train recipes together and write the counters of silent tokens beside the results."""
    finish = trainee.Trainee.finish

    def told(self):
        counted = self._descent.silent.tolist()
        finish(self)
        self.work.final.with_name("silent.json").write_text(json.dumps(counted))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainee.Trainee, "finish", told)
        train_saes(
            [(place(root, name), {**RECIPES[name], **options}) for name in names],
            activations,
            checkpoint_s=0,
        )


def results(root, names=tuple(RECIPES)):
    """Return the files of each recipe, the counters among them."""
    works = {name: place(root, name) for name in names}
    return {
        name: {**content(work), "silent": work.final.with_name("silent.json").read_bytes()}
        for name, work in works.items()
    }


@pytest.fixture(scope="module")
def together(tmp_path_factory, activations):
    root, resampled = tmp_path_factory.mktemp("together"), {}
    revive = trainee.Trainee._revive

    def counted(self, *arguments):
        before = self._descent.silent.clone()
        revive(self, *arguments)
        name = self.work.output.parent.name
        resampled[name] = resampled.get(name, 0) + int((self._descent.silent < before).sum())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainee.Trainee, "_revive", counted)
        train(root, activations)
    return {"results": results(root), "resampled": resampled}


def test_the_options_do_something_to_every_architecture(together):
    for name, n in together["resampled"].items():
        assert (n > 0) == name.endswith("+"), name


@pytest.mark.parametrize("name", list(RECIPES))
def test_an_sae_of_a_sweep_is_the_one_trained_alone(name, together, activations, tmp_path):
    train(tmp_path, activations, [name])
    assert results(tmp_path, [name])[name] == together["results"][name]


def killed_at(root, activations, moment, n_calls, names):
    """Train in a child that kills itself at the ``n_calls``-th call of ``moment``."""
    child = os.fork()
    if not child:
        try:
            owner, name = {
                "step": (trainee.Trainee, "_record"),
                "save": (checkpoint, "_digest"),
                "rename": (Path, "replace"),
            }[moment]
            original, calls = getattr(owner, name), itertools.count(1)

            def deadly(*arguments, **options):
                if next(calls) == n_calls:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments, **options)

            setattr(owner, name, deadly)
            train(root, activations, names)
        finally:
            os._exit(1)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(("moment", "step"), [("step", 7), ("save", 9), ("rename", 31)])
def test_killed_and_started_again_every_recipe_ends_at_the_same_bytes(
    moment, step, together, activations, tmp_path
):
    assert killed_at(tmp_path, activations, moment, step * len(KILLED) + 3, KILLED)
    train(tmp_path, activations, KILLED)
    assert results(tmp_path, KILLED) == {name: together["results"][name] for name in KILLED}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_twice_at_random_it_ends_at_the_same_bytes(seed, together, activations, tmp_path):
    choose = random.Random(seed)
    for _ in range(2):
        moment = choose.choice(["step", "save", "rename"])
        killed_at(tmp_path, activations, moment, choose.randint(1, 8 * len(RECIPES)), RECIPES)
    train(tmp_path, activations)
    assert results(tmp_path) == together["results"]


def stopped(root, activations, at, names=tuple(RECIPES), **options):
    """Train until every recipe has done ``at`` steps, then stop with a checkpoint."""
    record, there = trainee.Trainee._record, []

    def stopping(self, *arguments):
        record(self, *arguments)
        there.extend([self] * (self.n_done == at))
        if len(there) == len(names):  # a second signal would end this process
            there.clear()
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainee.Trainee, "_record", stopping)
        with pytest.raises(Interrupted):
            train(root, activations, names, **options)
    return {name: place(root, name).path for name in names}


EVALUATE = """
import json, sys
from pathlib import Path
from saeflow.activations.loader import Loader
from saeflow.activations.reader import open_store
from saeflow.sae.training.checkpoint import load
from saeflow.sae.saved.load import load_sae
record, *places = map(Path, json.loads(sys.argv[1]))
found = []
with open_store(record) as store:
    for place in places:
        start = load(place)[1]["loader"]
        loader = Loader(store, "train", batch_size=start["batch_size"], seed=start["seed"],
                        start=start)
        x = next(iter(loader)).double()
        error = load_sae(place)(x.float()).double() - x
        found.append(float(error.square().sum() / (x - x.mean(0)).square().sum()))
print(json.dumps(found))
"""

BY_BATCH = ("batchtopk", "matryoshka")
"""Architectures that select over the batch in training, and by a threshold ever after."""


def test_a_checkpoint_is_an_sae_that_explains_in_another_process_what_the_log_says(
    activations, tmp_path
):
    places = stopped(tmp_path, activations, 6, log_tokens=128)
    done = subprocess.run(
        [sys.executable, "-c", EVALUATE, json.dumps([*map(str, [activations, *places.values()])])],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    train(tmp_path, activations, log_tokens=128)
    for name, found in zip(places, json.loads(done.stdout), strict=True):
        rows = list(csv.DictReader((place(tmp_path, name).final / "log.csv").open()))
        selects_alike = RECIPES[name]["architecture"] not in BY_BATCH
        exact = 1e-4 if "matmul_dtype" not in RECIPES[name] else 2**-6  # measured in float32
        logged = float(rows[6]["fvu"])  # of the batch that comes next, before the weights move
        assert found == pytest.approx(logged, rel=exact if selects_alike else 0.5), name


def test_a_checkpoint_reads_activations_as_they_are_and_names_its_tokens(activations, tmp_path):
    (directory,) = stopped(tmp_path, activations, 6, ["topk+"]).values()
    sae = load_sae(directory)
    assert sae.metadata["training"]["tokens"] == 6 * 128
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(72))
    in_training = checkpoint.load(directory)[0]
    scale = sae.metadata["training"]["scale"][0]
    torch.testing.assert_close(sae.b_dec * scale, in_training["weights/b_dec"])


@pytest.mark.parametrize("damage", ["torn", "bits", "gone"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    damage, together, activations, tmp_path, caplog
):
    (directory,) = stopped(tmp_path, activations, 9, ["relu+"]).values()
    newest = directory / checkpoint.NAME
    whole = newest.read_bytes()
    if damage == "gone":
        newest.unlink()
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        newest.write_bytes(whole[:middle] if damage == "torn" else flipped)
    steps, record = [], trainee.Trainee._record

    def watched(self, *arguments):
        steps.append(self.n_done)
        record(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainee.Trainee, "_record", watched)
        train(tmp_path, activations, ["relu+"])
    assert steps[0] == 9  # step 8 was the checkpoint before
    assert results(tmp_path, ["relu+"])["relu+"] == together["results"]["relu+"]
    assert damage == "gone" or "damaged" in caplog.text


def test_with_every_checkpoint_damaged_it_starts_anew(together, activations, tmp_path):
    (directory,) = stopped(tmp_path, activations, 9, ["relu+"]).values()
    for name in (checkpoint.NAME, checkpoint.PREVIOUS):
        (directory / name).write_bytes(b"")
    train(tmp_path, activations, ["relu+"])
    assert results(tmp_path, ["relu+"])["relu+"] == together["results"]["relu+"]


def test_no_tokens_leave_the_first_weights(activations, tmp_path):
    works = [(place(tmp_path, n), {**RECIPES[n], "tokens": 0}) for n in ("relu", "topk+")]
    train_saes(works, activations)
    for work, recipe in works:
        sae = load_sae(work.final)
        assert work.manifest["training"]["tokens"] == 0
        assert (work.final / "log.csv").read_text().count("\n") == 1
        start = generator_of(recipe["seed"], sae.metadata["hook"], sae.architecture, sae.d_sae)
        W = torch.randn(sae.d_sae, 12, generator=start)
        torch.testing.assert_close(sae.W_dec, W / W.norm(dim=1, keepdim=True))


def test_resampling_does_not_move_the_order_of_the_rows(activations, tmp_path, monkeypatch):
    seen = {}
    step = trainee.Trainee.train

    def watched(self, batch, workspace):
        seen.setdefault(self.work.output.parent.name, []).append(batch.x.clone())
        step(self, batch, workspace)

    monkeypatch.setattr(trainee.Trainee, "train", watched)
    for name in ("relu", "relu+"):
        train(tmp_path, activations, [name])
    assert len(seen["relu"]) == N_STEPS
    assert all(torch.equal(a, b) for a, b in zip(seen["relu"], seen["relu+"], strict=True))
