"""Tests of language-model training: it learns, and it survives being killed."""

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from killed_writers import counting, die
from saeflow.errors import ModelError
from saeflow.files import hash_tree, read_json
from saeflow.interrupt import Interrupted
from saeflow.models.load import load_directory
from saeflow.models.train_lm import STATE, TrainingState, build_neox, train_lm
from saeflow.models.training_plan import TrainingPlan
from saeflow.tokenizers import tokenizer_from_directory, vocabulary_sha256
from saeflow.work import bulk_of, hold
from tiny_world import make_world

SETTINGS = {
    "n_layers": 2,
    "d_model": 16,
    "n_heads": 2,
    "tokens": 40 * 64,
    "batch_tokens": 64,
    "warmup_tokens": 256,
    "induction_steps": 6,
    "checkpoints": [0, 8],
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Records of the tokens and the tokenizer of a tiny world."""
    world = make_world(tmp_path_factory.mktemp("world"))
    return world.tokens, world.tokenizer


def train(root, inputs, settings=SETTINGS, save_every_s=1e9):
    record = root / "results" / "models" / "tiny" / "model.json"
    with hold(record, "m" * 64) as work:
        if not work.finished:
            train_lm(work, *inputs, settings, save_every_s=save_every_s)
        work.publish()
    return record


@pytest.fixture(scope="module")
def record(inputs, tmp_path_factory):
    return train(tmp_path_factory.mktemp("trained"), inputs)


def train_and_die(moment, *arguments):
    """Train, and die at a step, a flush or a rename, whichever is the one of that number."""
    from saeflow.models import train_lm as module

    count = counting(moment, die)
    module._Trainer._step = count(module._Trainer._step)
    os.fsync, Path.replace = count(os.fsync), count(Path.replace)
    train(*arguments)


def test_the_result_is_a_hugging_face_directory_with_its_tokenizer(record, inputs):
    facts = read_json(record)
    assert facts["name"] == "tiny"
    assert facts["architecture"] == "GPTNeoXForCausalLM"
    assert (facts["n_layers"], facts["d_model"], facts["max_positions"]) == (2, 16, 32)
    assert facts["checkpoints"] == [0, 8]
    tokenizer = tokenizer_from_directory(bulk_of(record))
    assert vocabulary_sha256(tokenizer) == facts["tokenizer"]
    assert load_directory(bulk_of(record)).config.vocab_size == len(tokenizer)


def test_embeddings_are_tied_and_rotation_is_full(record):
    config = json.loads((bulk_of(record) / "config.json").read_text())
    assert config["tie_word_embeddings"] is True
    assert config["rope_parameters"]["partial_rotary_factor"] == 1.0
    model = load_directory(bulk_of(record))
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_training_lowers_the_loss(record):
    rows = [line.split(",") for line in (bulk_of(record) / "log.csv").read_text().split()]
    assert rows[0] == ["step", "loss", "learning_rate"]
    assert [int(row[0]) for row in rows[1:]] == [0, 10, 20, 30, 40]
    assert float(rows[-1][1]) < float(rows[2][1]) - 0.3


def test_checkpoints_are_models_and_the_state_is_gone(record):
    bulk = bulk_of(record)
    names = sorted(path.name for path in bulk.glob("step-*"))
    assert names == ["step-0", "step-8"]
    weights = [load_file(bulk / name / "model.safetensors") for name in (*names, ".")]
    for earlier, later in ((0, 1), (1, 2)):
        name = next(iter(weights[0]))
        assert not torch.equal(weights[earlier][name], weights[later][name])
    assert not (bulk / STATE).exists()


def test_step_zero_is_the_random_initialisation(record):
    model = load_directory(bulk_of(record) / "step-0")
    weight = model.get_input_embeddings().weight
    assert weight.std().item() == pytest.approx(0.06, rel=0.05)
    assert torch.equal(model.gpt_neox.final_layer_norm.weight, torch.ones(16))


def test_another_seed_trains_another_model(record, inputs, tmp_path):
    settings = SETTINGS | {"seed": 1, "tokens": 64, "induction_steps": 0, "checkpoints": []}
    other = train(tmp_path, inputs, settings)
    assert read_json(other)["weights_sha256"] != read_json(record)["weights_sha256"]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_training_killed_at_random_points_ends_bit_identical(record, inputs, tmp_path, seed):
    rng, place, codes = random.Random(seed), tmp_path, []
    for moment in (rng.randrange(1, 40), *(rng.randrange(1, 80) for _ in range(5))):
        child = multiprocessing.get_context("fork").Process(
            target=train_and_die, args=(moment, place, inputs, SETTINGS, rng.choice([0, 0.05]))
        )
        child.start()
        child.join()
        codes.append(child.exitcode)
    assert codes[0] == -signal.SIGKILL and {*codes} <= {0, -signal.SIGKILL}
    resumed = train(place, inputs)
    assert hash_tree(bulk_of(resumed)) == hash_tree(bulk_of(record))
    assert resumed.read_bytes() == record.read_bytes()
    assert not list((place / "results" / "models" / "tiny").glob("*.partial"))


def test_a_request_to_stop_saves_first_and_loses_no_step(record, inputs, tmp_path, monkeypatch):
    from saeflow.models import train_lm as module

    steps = []
    take_step = module._Trainer._step

    def counted(trainer):
        take_step(trainer)
        steps.append(trainer.state.step)
        if len(steps) == 20:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)

    monkeypatch.setattr(module._Trainer, "_step", counted)
    with pytest.raises(Interrupted):
        train(tmp_path, inputs)
    resumed = train(tmp_path, inputs)
    assert steps == list(range(-5, 41))
    assert hash_tree(bulk_of(resumed)) == hash_tree(bulk_of(record))


def test_tokens_of_another_tokenizer_are_refused(inputs, tmp_path):
    tokens, tokenizer = inputs
    other = tmp_path / "tokenizer.json"
    facts = read_json(tokenizer) | {"vocabulary_sha256": "0" * 64}
    other.write_text(json.dumps(facts))
    with pytest.raises(ModelError, match="another tokenizer"):
        train(tmp_path, (tokens, other))


def test_a_diverging_training_stops_with_a_remedy(inputs, tmp_path):
    with pytest.raises(ModelError, match="learning_rate"):
        train(tmp_path, inputs, SETTINGS | {"initializer_range": 1e30})


def build(**changes):
    settings = {"n_layers": 2, "d_model": 16, "n_heads": 2, "tokens": 2048} | changes
    plan = TrainingPlan(**settings)
    return build_neox(plan, vocab_size=50, context_length=24, bos_id=3, eos_id=4)


def test_the_config_is_what_was_asked_for():
    config = build().config
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (2, 16, 64)
    assert (config.vocab_size, config.max_position_embeddings) == (50, 24)
    assert (config.bos_token_id, config.eos_token_id) == (3, 4)


def test_the_seed_alone_decides_the_weights_and_the_global_generator_is_left_alone():
    weights = []
    for state, seed in enumerate((0, 0, 1)):
        torch.manual_seed(state)
        expected = torch.rand(1)
        torch.manual_seed(state)
        weights.append(build(seed=seed).get_input_embeddings().weight)
        assert torch.equal(torch.rand(1), expected)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_spread_of_initial_weights_is_the_one_asked_for():
    spread = build(initializer_range=0.2, d_model=64).get_input_embeddings().weight.std().item()
    assert spread == pytest.approx(0.2, rel=0.05)


def test_distant_order_matters_so_positions_are_rotated():
    model = build(initializer_range=0.3).eval()
    first, second = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[6, 5, 7, 8]])
    with torch.no_grad():
        a, b = (model(input_ids=ids).logits[0, -1] for ids in (first, second))
    assert (a - b).abs().max() > 1e-4


def make_state():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return TrainingState(model, torch.optim.AdamW(model.parameters(), lr=0.1), step=-5)


def take_step(state):
    state.model(torch.rand(4, 3)).square().sum().backward()
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.step += 1


def test_going_on_from_a_saved_state_gives_the_same_bits(tmp_path):
    whole = make_state()
    for _ in range(6):
        take_step(whole)
    half = make_state()
    assert not half.load(tmp_path)
    assert half.step == -5
    for _ in range(3):
        take_step(half)
    half.log, half.pending = [(-4, 1.5, 0.1)], [0.25]
    half.save(tmp_path)
    resumed = make_state()
    torch.manual_seed(99)
    assert resumed.load(tmp_path)
    assert (resumed.step, resumed.log, resumed.pending) == (-2, [(-4, 1.5, 0.1)], [0.25])
    for _ in range(3):
        take_step(resumed)
    assert torch.equal(resumed.model.weight, whole.model.weight)
    assert torch.equal(resumed.model.bias, whole.model.bias)
