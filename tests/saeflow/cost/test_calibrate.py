import pytest
import torch

from saeflow.cost import calibrate as module
from saeflow.cost.calibrate import (
    calibrate,
    forward_rate,
    random_model,
    step_seconds,
    training_rate,
)
from saeflow.cost.estimate import Estimator
from saeflow.cost.shapes import PUBLISHED, Shape
from saeflow.cost.speeds import Speeds, block_key, step_key, training_key
from saeflow.cost.wanted import Wanted, wanted_of
from saeflow.models.training_plan import training_plan

TINY = Shape(
    {
        "model_type": "llama",
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 24,
        "vocab_size": 61,
        "max_position_embeddings": 32,
    }
)
RELU = {"architecture": "relu", "l1": 0.1, "expansion": 2, "batch_size": 64}
TOPK = {"architecture": "topk", "k": 4, "expansion": 2, "batch_size": 64}


@pytest.fixture(autouse=True)
def one_round(monkeypatch):
    monkeypatch.setattr(module, "_BUDGET_S", 0.0)


def test_a_model_of_a_shape_ends_with_the_last_block_that_is_needed():
    model = random_model(TINY, 2, 50)
    assert len(model.model.layers) == 2
    assert model.config.hidden_size == 16
    assert model.get_input_embeddings().weight.shape == (50, 16)


def test_every_published_shape_can_be_built():
    with torch.device("meta"):
        for name, config in PUBLISHED.items():
            shape = Shape(config)
            model = random_model(shape, 2, 50)
            weights = sum(p.numel() for p in model.parameters() if p.ndim == 2)
            beside = sum(
                e.weight.numel() for e in model.modules() if isinstance(e, torch.nn.Embedding)
            )
            if not model.config.tie_word_embeddings:
                beside *= 2
            assert weights - beside == pytest.approx(2 * shape.block_parameters, rel=0.02), name


def test_speeds_are_measured_with_the_real_code():
    assert forward_rate(TINY, 2, 16, 128) > 0
    for settings in (RELU, TOPK, {**RELU, "scale_input": "unit"}):
        assert step_seconds(settings, 16) > 0
    settings = {"n_layers": 1, "d_model": 16, "n_heads": 2, "tokens": 4000, "batch_tokens": 200}
    assert training_plan(settings).batch_tokens == 200
    assert training_rate(TINY, settings, 20) > 0


def test_everything_wanted_is_measured_and_nothing_is_left_behind(tmp_path):
    wanted = Wanted({block_key(TINY): (TINY, 2, 16, 128)}, {}, {step_key(RELU, 16): (RELU, 16)})
    told = []
    threads = torch.get_num_threads()
    speeds = calibrate(wanted, tmp_path / "results", 1, told.append)
    assert set(speeds.blocks) == set(wanted.forward)
    assert set(speeds.steps) == set(wanted.steps)
    assert speeds.disk > 0 and speeds.start > 0
    assert speeds.failed == []
    assert torch.get_num_threads() == threads
    assert list(tmp_path.iterdir()) == []
    assert len(told) == len(wanted)


def test_what_cannot_be_measured_is_assumed_and_told(tmp_path):
    odd = Shape({**TINY.config, "model_type": "nobody knows"})
    wanted = Wanted({block_key(odd): (odd, 1, 16, 64)}, {}, {})
    speeds = calibrate(wanted, tmp_path, 1)
    assert speeds.blocks == {}
    assert "nobody knows" in speeds.failed[0]
    assert speeds.blocks_rate(odd, 1).times > 2


def test_on_a_busy_machine_a_core_s_own_time_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "getloadavg", lambda: (9.0, 9.0, 9.0))
    wanted = Wanted({block_key(TINY): (TINY, 1, 16, 64)}, {}, {})
    speeds = calibrate(wanted, tmp_path, 2)
    assert "busy (load 9.0)" in speeds.notes[0]
    assert list(Estimator(speeds).notes) == speeds.notes


def test_the_clock_given_is_the_clock_read():
    ticks = iter(range(0, 1_000_000, 3))
    assert module._timed(lambda: None, 2, lambda: next(ticks)) == 3


def test_a_plan_asks_for_each_speed_once(jobs):
    planned = jobs()
    every = [job for found in planned.values() for job in found]
    wanted = wanted_of(every, Estimator(Speeds(1)))
    (forward,) = wanted.forward.values()
    shape, n_blocks, length, batch = forward
    assert (shape.d_model, n_blocks, length, batch) == (64, 4, 100, 8192)
    assert list(wanted.training) == [training_key(shape)]
    assert len(wanted.steps) == 1
    assert wanted_of([], Estimator(Speeds(1))) == Wanted({}, {}, {})
