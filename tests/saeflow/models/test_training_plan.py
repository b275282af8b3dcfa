"""Tests of the training settings and what follows from them."""

import pytest

from saeflow.errors import ConfigError
from saeflow.models.training_plan import training_plan

SETTINGS = {"n_layers": 2, "d_model": 16, "n_heads": 2, "tokens": 2048 * 20}


def plan(**changes):
    return training_plan(SETTINGS | changes)


def test_checkpoints_are_log_spaced_and_leave_out_the_last_step():
    assert plan().checkpoint_steps() == (0, 1, 2, 4, 8, 16)
    assert plan(tokens=2048 * 16).checkpoint_steps() == (0, 1, 2, 4, 8)


def test_checkpoints_can_be_listed():
    assert plan(checkpoints=[9, 3, 3]).checkpoint_steps() == (3, 9)


@pytest.mark.parametrize("steps", [[20], [-1], "often"])
def test_a_checkpoint_outside_the_training_is_an_error(steps):
    with pytest.raises(ConfigError, match="checkpoint"):
        plan(checkpoints=steps)


def test_the_learning_rate_rises_stays_and_falls_to_a_fiftieth():
    chosen = plan(learning_rate=1.0, warmup_tokens=2048 * 4, induction_steps=100)
    assert chosen.learning_rate_at(-100) == pytest.approx(1 / 50)
    assert chosen.learning_rate_at(-1) == 1
    assert chosen.learning_rate_at(0) == pytest.approx(1 / 4)
    assert [chosen.learning_rate_at(step) for step in range(3, 11)] == [1] * 8
    assert chosen.learning_rate_at(15) == pytest.approx(0.02 + 0.98 / 2)
    assert chosen.learning_rate_at(20) == pytest.approx(0.02)


def test_names_of_inputs_are_left_to_their_records():
    assert plan(dataset="world", packing="lm", tokenizer="world") == plan()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rat": 1}, "learning_rat"),
        ({"n_heads": 3}, "multiple"),
        ({"d_model": 18}, "an even number"),
        ({"precision": "float8"}, "precision"),
        ({"tokens": 100}, "one step"),
    ],
)
def test_impossible_settings_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        plan(**changes)
