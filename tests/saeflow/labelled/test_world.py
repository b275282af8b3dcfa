"""Reviews of the world with what it knows of them."""

import numpy as np
import pytest

from saeflow.labelled.world import LABELS, WORDS, reviews
from saeflow.world.vocabulary import BLAME, DISLIKING_VERBS, LIKING_VERBS, PRAISE, REVIEWED

OPINIONS = {*PRAISE, *BLAME, *LIKING_VERBS, *DISLIKING_VERBS, "not", "never"}


@pytest.fixture(scope="module")
def made():
    return reviews(0, 40)


def test_there_are_four_training_texts_and_one_of_another_kind_for_each_test_text(made):
    assert {one: sum(made.splits == one) for one in ("train", "test", "shift")} == {
        "train": 160, "test": 40, "shift": 40,
    }  # fmt: skip
    assert len(set(made.texts)) == 240
    assert list(made.labels) == list(LABELS)


def test_classes_are_balanced_and_independent_of_each_other(made):
    for split in ("train", "test"):
        there = np.flatnonzero(made.splits == split)
        pairs = [(made.labels["sentiment"][i], made.labels["strength"][i]) for i in there]
        assert {pairs.count(pair) for pair in set(pairs)} == {len(there) / 4}


def test_labels_are_what_the_text_says(made):
    for i, text in enumerate(made.texts):
        words = text.split()
        is_negated = bool({"not", "never"} & set(words))
        assert made.labels["negation"][i] == ("yes" if is_negated else "no")
        aspects = set(REVIEWED[made.labels["thing"][i]].aspects)
        assert aspects & set(words)
        assert text.endswith("was") and "overall ," in text


def test_the_concept_is_the_words_that_praise_blame_or_negate(made):
    for text, spans in zip(made.texts, made.concepts, strict=True):
        title = text.split("overall , the ")[1].split()[0]  # a title may have such a word
        found = [text[a:b] for a, b in spans]
        assert found == [word for word in text.split() if word in OPINIONS and word != title]
        assert found


def test_the_words_of_a_verdict_are_words_of_the_world():
    assert {word.strip() for word in WORDS["sentiment"].values()} <= OPINIONS
    assert WORDS["sentiment"]["positive"].strip() in PRAISE


def test_the_second_distribution_says_it_roundabout(made):
    """A negation or a concession (", but", ", although") is in at least half of its sentences."""
    shares = {}
    for split in ("test", "shift"):
        texts = [made.texts[i] for i in np.flatnonzero(made.splits == split)]
        shares[split] = []
        for text in texts:
            sentences = text.split(" . ")[1:-1]
            n = sum(bool({"not", "never", "but", "although"} & {*one.split()}) for one in sentences)
            shares[split].append(n / len(sentences))
    assert min(shares["shift"]) >= 0.5
    assert np.mean(shares["test"]) < 0.4


def test_another_seed_is_another_world_and_the_same_the_same(made):
    assert reviews(0, 40).texts == made.texts
    assert reviews(1, 40).texts != made.texts
