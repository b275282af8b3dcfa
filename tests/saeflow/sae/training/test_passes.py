"""A pass over batches that go wrong."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from sae_stores import place, task_of
from saeflow.errors import DataError
from saeflow.sae.training import passes
from saeflow.sae.training.train import SAEObjective
from saeflow.sae.training.trainee import Trainee

SETTINGS = {"architecture": "relu", "l1": 0.1, "expansion": 2, "batch_size": 16, "seed": 0}


class Batches:
    """A loader over batches in memory."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        yield from self.batches

    def state(self):
        return {}


def run(root, batches):
    rows = SimpleNamespace(d_in=4, d_out=4)  # no statistics are asked for
    objective = SAEObjective(SETTINGS, rows=rows, header={"hook": "resid_post.0"})
    work = place(root, "a")
    trainee = Trainee(task_of(work, SETTINGS), objective, n_available=64)
    passes.run([trainee], lambda run, epochs, start: Batches(batches), hook="resid_post.0")
    return work


def test_batches_that_are_finite_train_to_the_end(tmp_path):
    assert run(tmp_path, [torch.randn(16, 4) for _ in range(4)]).finished


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_batch_that_is_not_finite_names_hook_and_step(value, tmp_path):
    batches = [torch.randn(16, 4) for _ in range(4)]
    batches[2][3, 1] = value
    with pytest.raises(DataError, match=r"resid_post.0 > step 3.*not finite"):
        run(tmp_path, batches)


def test_activations_that_end_early_are_an_error(tmp_path):
    with pytest.raises(DataError, match="step 3.*ended before"):
        run(tmp_path, [torch.randn(16, 4) for _ in range(2)])


def test_a_batch_at_an_odd_address_is_moved_to_an_even_one():
    x = torch.arange(66, dtype=torch.float32)[1:65].view(16, 4)
    assert x.data_ptr() % 64
    moved = passes._aligned(x)
    assert moved.data_ptr() % 64 == 0 and torch.equal(moved, x)
    assert passes._aligned(moved) is moved
