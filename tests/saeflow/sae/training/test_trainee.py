"""One training's counters, constraint and schedule, with an objective that does as it is told."""

from __future__ import annotations

import csv

import pytest
import torch

from sae_stores import place, task_of
from saeflow.config.training import Training
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.steps.step import Batch, Terms, Workspace
from saeflow.sae.training import checkpoint
from saeflow.sae.training.descent import Objective
from saeflow.sae.training.trainee import Trainee


class Told(Objective):
    """Two latents: the first is active always, the second in the steps given."""

    name, d_in, d_sae = "told", 3, 2
    unit_rows = ("W_dec",)

    def __init__(self, active_steps):
        self.active_steps, self.steps = active_steps, 0
        self.dead, self.revivable = [], []

    def initial(self, batch):
        return {"W_dec": torch.eye(2, batch.x.shape[1])}

    def step(self, weights, gradients, batch, state):
        self.dead.append(state.dead.tolist())
        g = torch.Generator().manual_seed(self.steps)
        gradients["W_dec"].copy_(torch.randn(2, batch.x.shape[1], generator=g))
        fired = torch.tensor([True, self.steps in self.active_steps])
        self.steps += 1
        return Terms(1.0, 1.0, 0.0, int(fired.sum()), fired)

    def revive(self, weights, dead, **_):
        self.revivable.append(dead.tolist()[1])

    def result(self, weights, training):
        others = {"b_enc": torch.zeros(2), "b_dec": torch.zeros(3)}
        others["W_enc"] = weights["W_dec"].clone().T
        settings = architecture_settings("relu", {"l1": 0.0})
        return SAE("relu", settings, {**weights, **others}, {"training": training})


def make(root, objective, **changes):
    settings = {"batch_size": 10, "tokens": 100, "dead_tokens": 30, "log_tokens": 10, **changes}
    objective.run = Training(**settings)
    trainee = Trainee(task_of(place(root, "a"), settings), objective, 1000)
    trainee.resume(torch.device("cpu"))
    return trainee


def log_of(trainee):
    trainee.log.flush()
    return list(csv.DictReader(trainee.log.path.open()))


def drive(trainee, n_steps):
    for _ in range(n_steps):
        trainee.train(Batch(torch.randn(trainee.run.batch_size, 3)), Workspace())


@pytest.mark.parametrize(("batch_size", "dead_tokens"), [(5, 36), (10, 31), (5, 40), (10, 40)])
def test_a_latent_is_dead_after_so_many_tokens_without_firing(batch_size, dead_tokens, tmp_path):
    # it fires in the batch that ends at token 50, and in no other
    objective = Told({50 // batch_size - 1})
    trainee = make(tmp_path, objective, batch_size=batch_size, dead_tokens=dead_tokens)
    drive(trainee, 100 // batch_size)
    dead = {int(row["tokens"]): int(row["dead"]) for row in log_of(trainee)}
    assert dead == {10: 0, 20: 0, 30: 0, 40: 1, 50: 0, 60: 0, 70: 0, 80: 0, 90: 1, 100: 1}
    seen = [second for _, second in objective.dead]  # before each step
    n_alive = -(-dead_tokens // batch_size)
    assert seen[: n_alive + 1] == [False] * n_alive + [True]
    assert objective.revivable[:n_alive] == [False] * (n_alive - 1) + [True]  # after each step
    assert not any(first for first, _ in objective.dead)


def test_the_count_of_silent_tokens_survives_a_resume(tmp_path):
    first = make(tmp_path, Told(set()))
    drive(first, 2)
    first.save({"batches": 2})
    second = make(tmp_path, Told(set()))
    assert (second.n_done, second.loader_state) == (2, {"batches": 2})
    drive(second, 1)
    assert [int(row["dead"]) for row in log_of(second)] == [0, 0, 1]


def test_the_gradient_along_unit_rows_is_removed_before_the_moments_see_it(tmp_path):
    trainee = make(tmp_path, Told(set()))
    drive(trainee, 1)
    trainee.save({})
    moment = checkpoint.load(trainee.work.path)[0]["moments/first/W_dec"]
    assert float((moment * torch.eye(2, 3)).sum(1).abs().max()) < 1e-7
    assert float(moment.abs().max()) > 1e-3
    torch.testing.assert_close(trainee.weights["W_dec"].norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("batch_size", [5, 10])
def test_the_schedule_counts_tokens_not_steps(batch_size, tmp_path):
    trainee = make(
        tmp_path, Told(set()), batch_size=batch_size, learning_rate=1.0, decay_tokens=0,
        warmup_tokens=40,
    )  # fmt: skip
    drive(trainee, 100 // batch_size)
    rates = {int(row["tokens"]): float(row["learning_rate"]) for row in log_of(trainee)}
    assert [rates[t] for t in (10, 20, 30, 40, 50)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_schedule_that_is_not_given_is_a_share_of_the_run():
    assert Training().schedule(1000) == (50, 200)
    assert Training(warmup_tokens=7, decay_tokens=0).schedule(1000) == (7, 0)


class Pull(Objective):
    """Its gradient is one, of weights in the precision of the batch."""

    name, d_in, d_sae = "pull", 3, 2
    unit_rows = ()

    def initial(self, batch):
        return {"W_dec": torch.full((2, 3), 0.3, dtype=batch.x.dtype)}

    def step(self, weights, gradients, batch, state):
        g = torch.Generator().manual_seed(state.tokens)
        gradients["W_dec"].copy_(1 + 0.5 * torch.randn(2, 3, generator=g, dtype=torch.float64))
        return Terms(1.0, 1.0, 0.0, 2, torch.ones(2, dtype=torch.bool))


def test_updates_far_below_the_weights_are_not_swallowed(tmp_path):
    moved = {}
    for dtype in (torch.float32, torch.float64):
        trainee = make(
            tmp_path / str(dtype), Pull(), tokens=4000, epochs=4, learning_rate=3e-6,
            warmup_tokens=0, decay_tokens=0,
        )  # fmt: skip
        for _ in range(400):
            trainee.train(Batch(torch.zeros(10, 3, dtype=dtype)), Workspace())
        moved[dtype] = trainee.weights["W_dec"].double() - 0.3
    found, exact = moved[torch.float32], moved[torch.float64]
    # a step is 1e-5 of a weight: in bfloat16 or float16 it would not move at all
    assert float(exact.abs().min()) > 1e-5
    torch.testing.assert_close(found, exact, rtol=0.01, atol=3e-8)
    assert not (torch.tensor(0.3).bfloat16() - 3e-6 - torch.tensor(0.3).bfloat16()).any()
