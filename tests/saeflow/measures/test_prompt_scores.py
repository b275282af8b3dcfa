"""Tests of the prompt scores with models whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from saeflow.measures.prompt_scores import probe, score_prompts, share, wilson
from saeflow.world.corpus import generate_documents
from saeflow.world.prompts import PROMPT_SETS, generate_prompts

N = 40
WORDS = sorted({word for document in generate_documents(0, 100_000) for word in document.words})
ID = {word: i for i, word in enumerate(WORDS)}


class Scripted:
    """Stands for a model: its answer to a prompt is what a function says."""

    model = SimpleNamespace(config=SimpleNamespace(vocab_size=len(WORDS)))

    def __init__(self, answer, label):
        self.answer, self.label = answer, label

    def answer_ids(self, words):
        return np.array([ID[word] for word in words])

    def logits(self, texts):
        logits = np.zeros((len(texts), len(WORDS)), dtype=np.float32)
        for row, text in zip(logits, texts, strict=True):
            row[ID[self.answer(text)]] = 1
        return logits

    def states(self, texts):
        return np.array([[self.label(text), 0.0] for text in texts], dtype=np.float32)

    def mean_embeddings(self, texts):
        return np.zeros((len(texts), 2), dtype=np.float32) + np.arange(2)


@pytest.fixture(scope="module")
def sets():
    return {name: generate_prompts(name, 0, N) for name in PROMPT_SETS}


def scores(sets, answer, label=lambda text: 0.0):
    return {score.task: score for score in score_prompts(Scripted(answer, label), sets)}


def test_a_model_that_knows_every_answer_gets_everything(sets):
    answers = {
        row.text: row.target
        for name, prompts in sets.items()
        if name != "sentiment"
        for row in prompts.itertuples()
    }
    labels = dict(zip(sets["sentiment"]["text"], sets["sentiment"]["label"], strict=True))
    found = scores(sets, lambda text: answers.get(text, "."), labels.get)
    assert len(found) == 6
    for score in found.values():
        assert score.value == 1 and not score.at_chance, score.task
        assert score.high == 1 and 0.8 < score.low < 1
    assert found["last_word"].baselines["last_sentence"] == 0
    assert found["sentiment"].baselines["mean_embedding"] == 0.5


def test_a_model_that_always_says_the_same_is_at_chance(sets):
    found = scores(sets, lambda text: ".")
    for score in found.values():
        assert score.at_chance, score.task


def test_the_repeated_name_is_wrong_in_both_orders(sets):
    found = scores(sets, lambda text: text.split()[-1] if "to" not in text else _giver(text))
    for order in ("abba", "baba"):
        assert found[f"indirect_object_{order}"].value == 0
        assert found[f"indirect_object_{order}"].at_chance
        assert found[f"indirect_object_{order}"].baselines["most_frequent"] == 0
    assert found["indirect_object_abba"].baselines["first_named"] == 1
    assert found["indirect_object_baba"].baselines["first_named"] == 0


def _giver(text):
    words = text.split()
    repeated = [word for word in words if word[0].isupper() and words.count(word) == 2]
    return repeated[0] if repeated else "."


def test_copying_and_frequency_stand_beside_the_tasks_that_they_explain(sets):
    found = scores(sets, lambda text: ".")
    assert found["last_word"].baselines["copy_bigram"] > 0.6
    assert found["cloze"].baselines["copy_bigram"] > 0.8
    for task in ("last_word", "cloze", "owner_binding"):
        assert 0 < found[task].baselines["most_frequent"] < 0.8


def test_chance_is_one_of_the_candidates(sets):
    found = scores(sets, lambda text: ".")
    assert found["cloze"].chance == pytest.approx(0.1)
    expected = np.mean([1 / len(c) for c in sets["owner_binding"]["candidates"]])
    assert found["owner_binding"].chance == pytest.approx(expected)
    assert found["last_word"].chance == 1 / len(WORDS)


def test_wilson_intervals_are_those_of_the_formula():
    # n = 10, z² = 3.8415: centre (p + .19207) / 1.38415, half width from sqrt(p q / n + .0096037).
    low, high = wilson(5, 10)
    assert (low, high) == pytest.approx((0.23659, 0.76341), abs=1e-5)
    low, high = wilson(10, 10)
    assert (low, high) == pytest.approx((1 / 1.38415, 1), abs=1e-5)
    assert wilson(0, 10)[0] == 0


def test_a_share_whose_interval_includes_chance_is_named():
    def at_chance(n_correct):
        correct = [True] * n_correct + [False] * (10 - n_correct)
        return share("t", correct, chance=0.5, requires="", baselines={}).at_chance

    assert at_chance(5) and at_chance(0) and not at_chance(10)


def test_a_probe_finds_a_direction_and_ignores_scale():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 3)), rng.integers(0, 2, 400)
    x[:, 1] += 4 * y
    x[:, 2] *= 1e4
    assert (probe(x[:300], y[:300], x[300:]) == y[300:]).mean() > 0.93
