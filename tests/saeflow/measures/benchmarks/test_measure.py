"""Tests of a model's benchmarks on a tiny world."""

import math

import numpy as np
import pytest
import torch

from measured import measure, table
from saeflow.errors import SaeflowError
from saeflow.files import hash_tree, read_json
from saeflow.measures.benchmarks.measure import held_out_losses
from saeflow.measures.benchmarks.ngrams import NGrams
from saeflow.metrics.benchmarks import scores
from saeflow.models.load import load_model
from saeflow.models.train_lm import train_lm
from saeflow.tokens.flags import excluded
from saeflow.tokens.store import open_tokens
from saeflow.work import hold
from tiny_world import make_world

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
    """Return the task of a model's benchmarks."""
    inputs = {"model": model, **world._asdict()}
    return measure("benchmarks", root, {"model": model}, **inputs)["model"]


@pytest.fixture(scope="module")
def task(world, model, tmp_path_factory):
    return measured(world, model, tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture(scope="module")
def found(task):
    tables = table(task, "prompts"), table(task)
    return {score.task: score for score in scores(*tables, bootstrap=100, seed=0)}


@pytest.fixture(scope="module")
def losses(world, model):
    columns = held_out_losses(load_model(model, "cpu"), open_tokens(world.tokens))
    return {name: column.sum() for name, column in columns.items()}


def test_every_task_has_its_interval_chance_and_baselines(found):
    assert list(found) == [
        "held_out_loss", "last_word", "cloze", "sentiment",
        "indirect_object_abba", "indirect_object_baba", "owner_binding",
    ]  # fmt: skip
    for score in found.values():
        assert score.low <= score.value <= score.high
        assert score.baselines and score.requires
        assert isinstance(score.at_chance, bool)


def test_the_record_counts_what_was_measured(task):
    record, prompts = read_json(task.output), table(task, "prompts")
    assert record["n_prompts"] == len(prompts.drop_duplicates(["task", "prompt"]))
    assert record["n_tokens"] == table(task)["tokens"].sum()
    assert record["n_documents"] == len(table(task))


def test_two_measurements_give_the_same_bytes(task, world, model, tmp_path):
    again = measured(world, model, tmp_path)
    assert hash_tree(again.work.final) == hash_tree(task.work.final)


def test_a_model_whose_tokens_cannot_be_read_fails_alone(task, world, model, tmp_path):
    broken = measured(world._replace(tokens=world.dataset), model, tmp_path / "broken")
    assert isinstance(broken.error, SaeflowError) and not broken.finished
    assert task.finished


def test_a_model_that_hardly_learned_is_at_chance_where_it_must_be(found):
    assert found["owner_binding"].at_chance
    assert found["cloze"].at_chance
    assert not found["held_out_loss"].at_chance


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


def test_the_held_out_loss_is_the_sum_over_scored_tokens(losses, world, model):
    expected = scored_tokens_one_by_one(open_tokens(world.tokens), load_model(model, "cpu"))
    assert losses["tokens"] == len(expected)
    assert losses["loss"] == pytest.approx(np.sum(expected), rel=1e-5)


def test_ngrams_are_scored_on_the_same_tokens(losses, world, model):
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
    assert len(logs) == losses["tokens"]
    assert losses["loss_bigram"] == pytest.approx(-np.sum(logs), rel=1e-9)


def test_chance_is_a_uniform_guess_and_longer_contexts_help(losses, model):
    chance = losses["tokens"] * math.log(read_json(model)["vocab_size"])
    assert losses["loss_uniform"] == pytest.approx(chance)
    assert losses["loss_unigram"] > losses["loss_bigram"] > losses["loss_trigram"]
    assert losses["loss_unigram"] < losses["loss_uniform"]
