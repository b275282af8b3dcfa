"""Answers to prompts by models whose answers are known, and by guesses without a model."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saeflow.measures.benchmarks.prompts import answer_prompts, copied, first_named, most_frequent
from saeflow.metrics.benchmarks import MODEL, REQUIRES
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


def answers(sets, answer, label=lambda text: 0.0):
    return pd.DataFrame(answer_prompts(Scripted(answer, label), sets))


def shares(sets, answer, label=lambda text: 0.0):
    """Return the share of right answers by task and answerer."""
    return answers(sets, answer, label).groupby(["task", "by"])["correct"].mean()


def test_a_model_that_knows_every_answer_gets_everything(sets):
    known = {
        row.text: row.target
        for name, prompts in sets.items()
        if name != "sentiment"
        for row in prompts.itertuples()
    }
    labels = dict(zip(sets["sentiment"]["text"], sets["sentiment"]["label"], strict=True))
    found = shares(sets, lambda text: known.get(text, "."), labels.get)
    assert set(found.index.get_level_values("task")) == set(REQUIRES) - {"held_out_loss"}
    assert (found.xs(MODEL, level="by") == 1).all()
    assert found["last_word", "last_sentence"] == 0
    assert found["sentiment", "mean_embedding"] == 0.5


def test_there_is_one_row_per_prompt_and_answerer(sets):
    found = answers(sets, lambda text: ".")
    assert not found.duplicated(["task", "prompt", "by"]).any()
    counts = found[found["by"] == MODEL].groupby("task").size()
    assert counts["cloze"] == counts["sentiment"] == N
    assert counts["indirect_object_abba"] + counts["indirect_object_baba"] == N
    for _, rows in found.groupby("task"):  # each answered the same prompts
        assert rows.groupby("by")["prompt"].agg(tuple).nunique() == 1
        assert rows.groupby("prompt")["chance"].nunique().eq(1).all()


def test_the_repeated_name_is_wrong_in_both_orders(sets):
    found = shares(sets, lambda text: text.split()[-1] if "to" not in text else _giver(text))
    for order in ("abba", "baba"):
        assert found[f"indirect_object_{order}", MODEL] == 0
        assert found[f"indirect_object_{order}", "most_frequent"] == 0
    assert found["indirect_object_abba", "first_named"] == 1
    assert found["indirect_object_baba", "first_named"] == 0


def _giver(text):
    words = text.split()
    repeated = [word for word in words if word[0].isupper() and words.count(word) == 2]
    return repeated[0] if repeated else "."


def test_copying_and_frequency_stand_beside_the_tasks_that_they_explain(sets):
    found = shares(sets, lambda text: ".")
    assert found["last_word", "copy_bigram"] > 0.6
    assert found["cloze", "copy_bigram"] > 0.8
    for task in ("last_word", "cloze", "owner_binding"):
        assert 0 < found[task, "most_frequent"] < 0.8


def test_chance_is_one_of_the_candidates(sets):
    found = answers(sets, lambda text: ".")
    model = found[found["by"] == MODEL].set_index("task")["chance"]
    assert (model["cloze"] == 0.1).all()
    expected = [1 / len(c) for c in sets["owner_binding"]["candidates"]]
    assert model["owner_binding"].tolist() == expected
    assert (model["last_word"] == 1 / len(WORDS)).all()
    assert (model[["sentiment", "indirect_object_abba", "indirect_object_baba"]] == 0.5).all()


TEXT = "the red cup fell . Ann had the red hat . the blue cup was the red".split()


def test_the_most_frequent_candidate_wins():
    assert most_frequent(TEXT, ["hat", "cup"]) == "cup"


def test_of_equals_the_one_that_occurs_last_wins():
    assert most_frequent("a b a b".split(), ["b", "a"]) == "b"
    assert most_frequent("b a b a".split(), ["b", "a"]) == "a"


def test_what_followed_the_last_word_before_is_copied():
    assert copied(TEXT) == "hat"


def test_only_candidates_are_copied_where_there_are_any():
    assert copied(TEXT, ["cup"]) == "cup"


def test_a_word_that_is_new_copies_nothing():
    assert copied("a b c".split()) is None
    assert copied("a b a".split(), ["c"]) is None


def test_the_first_named_occurs_first():
    assert first_named("Ann and Bob . Ann".split(), ["Bob", "Ann"]) == "Ann"
