"""Tests of a model's answers to prompts."""

import numpy as np
import pytest
import torch

from saeflow.errors import DataError, ModelError
from saeflow.measures.benchmarks.prompt_model import PromptModel
from saeflow.models.load import load_tokenizer
from saeflow.models.train_lm import build_neox
from saeflow.models.training_plan import TrainingPlan
from tiny_world import make_world

TEXTS = [
    "the cow was in the barn .",
    "Anna",
    "when Anna and Ben went to the barn , Anna gave a rake to",
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    world = make_world(tmp_path_factory.mktemp("world"), n_tokens=40_000)
    return load_tokenizer(world.tokenizer)


@pytest.fixture(scope="module")
def network(tokenizer):
    plan = TrainingPlan(n_layers=2, d_model=16, n_heads=2, tokens=2048)
    model = build_neox(plan, vocab_size=len(tokenizer), context_length=32, bos_id=0, eos_id=0)
    return model.eval().requires_grad_(False)


@pytest.fixture
def asked(network, tokenizer):
    return PromptModel(network, tokenizer, 32)


def test_logits_are_those_after_the_last_word_with_a_bos_before_the_first(asked, network):
    for text, found in zip(TEXTS, asked.logits(TEXTS), strict=True):
        ids = torch.tensor([[0, *asked.tokenizer(text)["input_ids"]]])
        expected = network(input_ids=ids).logits[0, -1].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_answers_do_not_depend_on_the_company(asked):
    alone = np.concatenate([asked.states([text]) for text in TEXTS])
    many = asked.states(TEXTS * 30)
    np.testing.assert_allclose(many, np.tile(alone, (30, 1)), atol=1e-5)


def test_mean_embeddings_leave_out_the_bos(asked, network):
    ids = asked.tokenizer(TEXTS[0])["input_ids"]
    expected = network.get_input_embeddings().weight[ids].mean(0).numpy()
    np.testing.assert_allclose(asked.mean_embeddings(TEXTS)[0], expected, atol=1e-6)


def test_an_answer_must_be_one_known_token(asked):
    assert asked.answer_id("Anna") == asked.tokenizer.get_vocab()["Anna"]
    for word in ("Zebedee", "Anna Ben"):
        with pytest.raises(DataError, match="one known token"):
            asked.answer_id(word)


def test_a_prompt_longer_than_the_context_is_refused(asked):
    with pytest.raises(ModelError, match="longer than the model's context"):
        asked.logits(["the " * 40])
