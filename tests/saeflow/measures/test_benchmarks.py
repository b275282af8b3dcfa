"""Tests of a model's benchmarks on a tiny world."""

import math

import numpy as np
import pytest
import torch

from saeflow.files import read_json
from saeflow.measures.benchmarks import held_out_loss, measure_benchmarks
from saeflow.measures.ngrams import NGrams
from saeflow.models.load import load_model
from saeflow.models.train_lm import train_lm
from saeflow.tokens.flags import excluded
from saeflow.tokens.store import open_tokens
from saeflow.work import hold
from tiny_world import make_world

MEASURES = {"bootstrap": 100, "seed": 0}
SETTINGS = {
    "n_layers": 1,
    "d_model": 16,
    "n_heads": 2,
    "tokens": 30 * 512,
    "batch_tokens": 512,
    "warmup_tokens": 1024,
    "induction_steps": 0,
    "checkpoints": [],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), n_tokens=40_000, context_length=256)


@pytest.fixture(scope="module")
def model(world, tmp_path_factory):
    record = tmp_path_factory.mktemp("model") / "model.json"
    with hold(record, "m" * 64) as work:
        train_lm(work, world.tokens, world.tokenizer, SETTINGS)
        work.publish()
    return record


def measured(world, model, root):
    record = root / "benchmarks.json"
    with hold(record, "b" * 64) as work:
        measure_benchmarks(
            work,
            model=model,
            tokenizer=world.tokenizer,
            dataset=world.dataset,
            tokens=world.tokens,
            settings=MEASURES,
        )
        work.publish()
    return record


@pytest.fixture(scope="module")
def record(world, model, tmp_path_factory):
    return measured(world, model, tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture(scope="module")
def loss(world, model):
    return held_out_loss(load_model(model, "cpu"), open_tokens(world.tokens), samples=100, seed=0)


def test_every_task_has_its_interval_chance_and_baselines(record):
    rows = read_json(record)["scores"]
    assert [row["task"] for row in rows] == [
        "held_out_loss", "last_word", "cloze", "sentiment",
        "indirect_object_abba", "indirect_object_baba", "owner_binding",
    ]  # fmt: skip
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"]
        assert row["baselines"] and row["requires"]
        assert isinstance(row["at_chance"], bool)


def test_two_measurements_give_the_same_bytes(record, world, model, tmp_path):
    assert measured(world, model, tmp_path).read_bytes() == record.read_bytes()


def test_a_model_that_hardly_learned_is_at_chance_where_it_must_be(record):
    rows = {row["task"]: row for row in read_json(record)["scores"]}
    assert rows["owner_binding"]["at_chance"]
    assert rows["cloze"]["at_chance"]
    assert not rows["held_out_loss"]["at_chance"]


def scored_tokens_one_by_one(store, model):
    """Return the losses of the test split's scored tokens, a sequence at a time."""
    losses = []
    flags, offsets = store.flags, store.sequence_offsets
    for index in range(*store.sequence_range("test")):
        ids = torch.from_numpy(store.sequence(index).astype(np.int64))
        ordinary = ~excluded(flags[offsets[index] : offsets[index + 1]])
        logs = model(input_ids=ids[None]).logits[0].log_softmax(-1)
        losses += [-logs[t - 1, ids[t]].item() for t in range(1, len(ids)) if ordinary[t]]
    return losses


def test_the_held_out_loss_is_the_mean_over_scored_tokens(loss, world, model):
    losses = scored_tokens_one_by_one(open_tokens(world.tokens), load_model(model, "cpu"))
    assert loss.n == len(losses)
    assert loss.value == pytest.approx(np.mean(losses), rel=1e-5)
    assert loss.low < loss.value < loss.high
    assert loss.unit == "nats"


def test_ngrams_are_scored_on_the_same_tokens(loss, world, model):
    store = open_tokens(world.tokens)
    ids, offsets, flags = store.token_id, store.sequence_offsets, store.flags
    train, test = store.sequence_range("train"), store.sequence_range("test")
    ngrams = NGrams(
        ids[offsets[train[0]] : offsets[train[1]]],
        offsets[train[0] : train[1] + 1],
        vocab_size=load_model(model, "cpu").config.vocab_size,
        highest=2,
    )
    logs = []
    for index in range(*test):
        own = slice(offsets[index], offsets[index + 1])
        found = ngrams.log_probabilities(ids[own], np.array([0, own.stop - own.start]))[2]
        logs += list(found[1:][~excluded(flags[own])[1:]])
    assert len(logs) == loss.n
    assert loss.baselines["bigram"] == pytest.approx(-np.mean(logs), rel=1e-9)


def test_chance_is_a_uniform_guess_and_longer_contexts_help(loss, model):
    assert loss.chance == pytest.approx(math.log(read_json(model)["vocab_size"]))
    assert loss.baselines["unigram"] > loss.baselines["bigram"] > loss.baselines["trigram"]
    assert loss.baselines["unigram"] < loss.chance
