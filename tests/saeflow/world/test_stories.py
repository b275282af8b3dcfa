"""Tests of stories."""

import random

import pytest

from saeflow.world import vocabulary
from saeflow.world.document import ROLE_ID
from saeflow.world.stories import (
    ANY_ENDING,
    OBJECT_ENDINGS,
    OWNER_ENDINGS,
    SURNAME_ENDINGS,
    write_story,
)


def stories(n=50, **settings):
    rng = random.Random(0)
    return [write_story(rng, **settings) for _ in range(n)]


def test_the_ending_is_the_sentence_after_those_asked_for():
    # Introducing two people takes four to six sentences: eight are always reached exactly.
    for story in stories(n_sentences=8, n_people=2):
        document = story.document
        assert document.sentence[-1] == document.sentence[story.query] == 8
        assert document.words[story.query + 1 :] == ["."]


@pytest.mark.parametrize("endings", [OBJECT_ENDINGS, OWNER_ENDINGS])
def test_object_and_owner_endings_ask_for_something_owned(endings):
    for story in stories(endings=endings):
        assert story.document.words[story.query] in story.owned


def test_surname_endings_ask_for_a_surname_of_the_cast():
    for story in stories(endings=SURNAME_ENDINGS):
        assert story.document.words[story.query] in story.surnames


def test_every_object_occurs_where_it_must():
    for story in stories(n_sentences=20, n_people=3, every_object=True):
        assert len(set(story.objects)) == 10
        assert set(story.objects) <= set(story.document.words)


def test_owned_objects_are_told_from_those_passed_by():
    for story in stories():
        rows = zip(story.document.words, story.document.role, strict=True)
        for word, role in rows:
            if role == ROLE_ID["owned_object"]:
                assert word in story.owned
            if role == ROLE_ID["passing_object"]:
                assert word in story.objects and word not in story.owned


def test_pronouns_agree_with_the_name():
    for story in stories(n_people=2):
        words, sentences = story.document.words, story.document.sentence
        for place, word in enumerate(words):
            if word in ("his", "her"):
                names = [
                    w
                    for w, s in zip(words[:place], sentences, strict=False)
                    if s == sentences[place] and w in vocabulary.NAMES
                ]
                assert (names[0] in vocabulary.FEMALE_NAMES) == (word == "her")


def test_every_ending_can_be_written():
    for ending in ANY_ENDING:
        assert "{" not in write_story(random.Random(1), endings=[ending]).document.text
