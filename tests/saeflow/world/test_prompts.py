"""Tests of the prompt sets: what is asked can be answered, and only from where it should be."""

from collections import Counter

import pandas as pd
import pytest

from saeflow.world import vocabulary
from saeflow.world.corpus import generate_documents
from saeflow.world.prompts import MAX_WORDS, PROMPT_SETS, generate_prompts

N = 40


@pytest.fixture(scope="module")
def sets():
    return {name: generate_prompts(name, 0, N) for name in PROMPT_SETS}


def test_the_same_seed_gives_the_same_prompts(sets):
    for name, prompts in sets.items():
        pd.testing.assert_frame_equal(generate_prompts(name, 0, N), prompts)


def test_another_seed_gives_other_prompts(sets):
    for name, prompts in sets.items():
        assert not set(generate_prompts(name, 1, N)["text"]) & set(prompts["text"])


def test_no_prompt_is_the_start_of_a_document_of_the_corpus(sets):
    corpus = [document.text for document in generate_documents(0, 100_000)]
    starts = tuple(text for prompts in sets.values() for text in prompts["text"])
    assert not any(text.startswith(starts) for text in corpus)


def test_every_prompt_fits_the_context(sets):
    for prompts in sets.values():
        assert prompts["text"].str.split().map(len).max() <= MAX_WORDS


@pytest.mark.parametrize("name", ["last_word", "cloze", "owner_binding"])
def test_the_target_is_in_the_passage_and_not_in_the_question(sets, name):
    for row in sets[name].itertuples():
        assert row.text == f"{row.passage} {row.question}"
        assert row.target in row.passage.split()
        assert row.target not in row.question.split()
        assert row.passage.endswith((".", "?"))


def test_all_ten_candidates_of_a_cloze_occur_in_twenty_sentences(sets):
    for row in sets["cloze"].itertuples():
        passage = row.passage.split()
        assert len(set(row.candidates)) == 10
        assert set(row.candidates) <= set(passage)
        assert row.target in row.candidates
        unquoted = " ".join(row.passage.split('"')[::2])  # '" where ... ? " Anna asked Ben .'
        assert sum(word in (".", "?") for word in unquoted.split()) == 20


def test_cloze_candidates_are_not_ordered_by_their_role(sets):
    places = Counter(list(row.candidates).index(row.target) for row in sets["cloze"].itertuples())
    assert len(places) > 5


def test_the_target_of_a_last_word_is_one_of_its_entities(sets):
    prompts = sets["last_word"]
    assert set(prompts["asks_for"]) == {"object", "surname"}
    for row in prompts.itertuples():
        assert row.target in row.candidates
        assert (row.target in vocabulary.SURNAMES) == (row.asks_for == "surname")


def test_orders_of_indirect_objects_are_balanced_and_true(sets):
    prompts = sets["indirect_object"]
    assert Counter(prompts["order"]) == {"ABBA": N // 2, "BABA": N // 2}
    for row in prompts.itertuples():
        words = row.text.split()
        receiver = row.target
        (giver,) = set(row.candidates) - {receiver}
        assert (words.count(receiver), words.count(giver)) == (1, 2)
        assert (words.index(receiver) < words.index(giver)) == (row.order == "ABBA")
        assert words[-1] == "to"


def test_reviews_are_balanced_and_end_before_the_verdict(sets):
    prompts = sets["sentiment"]
    for part, n in (("test", N), ("train", 4 * N)):
        chosen = prompts[prompts["part"] == part]
        assert Counter(chosen["label"]) == {0: n // 2, 1: n // 2}
    assert set(prompts["stars"]) == {1, 2, 4, 5}
    for row in prompts.itertuples():
        assert row.label == (row.stars > 3)
        assert row.text.endswith("was") and "overall" in row.text
        assert "stars" not in row.text and "recommend" not in row.text


def test_an_owner_asks_for_what_somebody_in_the_story_owns(sets):
    for row in sets["owner_binding"].itertuples():
        assert row.question.endswith("'s")
        assert row.target in row.candidates
        assert set(row.candidates) <= set(row.passage.split())
