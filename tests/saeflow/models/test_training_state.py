"""Tests of the state that a killed training goes on from."""

import pytest
import torch
from torch import nn

from saeflow.models.training_state import STATE, TrainingState


def make():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return TrainingState(model, torch.optim.AdamW(model.parameters(), lr=0.1), step=-5)


def take_step(state):
    state.model(torch.rand(4, 3)).square().sum().backward()
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.step += 1


def test_without_a_file_nothing_is_loaded(tmp_path):
    state = make()
    assert not state.load(tmp_path)
    assert state.step == -5


def test_going_on_from_a_saved_state_gives_the_same_bits(tmp_path):
    whole = make()
    for _ in range(6):
        take_step(whole)
    half = make()
    for _ in range(3):
        take_step(half)
    half.log, half.pending = [(-4, 1.5, 0.1)], [0.25]
    half.save(tmp_path)
    resumed = make()
    torch.manual_seed(99)
    assert resumed.load(tmp_path)
    assert (resumed.step, resumed.log, resumed.pending) == (-2, [(-4, 1.5, 0.1)], [0.25])
    for _ in range(3):
        take_step(resumed)
    assert torch.equal(resumed.model.weight, whole.model.weight)
    assert torch.equal(resumed.model.bias, whole.model.bias)


@pytest.mark.parametrize("saved", [True, False])
def test_removing_leaves_no_file(tmp_path, saved):
    if saved:
        make().save(tmp_path)
    TrainingState.remove(tmp_path)
    assert not (tmp_path / STATE).exists()
