"""Tests of the word lists."""

import pytest

from saeflow.world import vocabulary
from saeflow.world.stories import N_CLOZE_OBJECTS

LISTS = {
    name: value
    for name, value in vars(vocabulary).items()
    if name.isupper() and isinstance(value, tuple)
}


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_list_has_every_word_once_and_no_white_space(name):
    words = LISTS[name]
    assert len(set(words)) == len(words)
    assert all(word and not any(c.isspace() for c in word) for word in words)


def test_every_topic_has_objects_for_a_cloze_and_places_for_four_people():
    for topic in vocabulary.TOPICS.values():
        assert len(set(topic.objects)) == len(topic.objects) >= N_CLOZE_OBJECTS
        assert len(set(topic.places)) >= 4


def test_objects_belong_to_one_topic_so_that_they_tell_it():
    objects = [word for topic in vocabulary.TOPICS.values() for word in topic.objects]
    assert len(set(objects)) == len(objects)


def test_names_and_surnames_cannot_be_confused():
    assert not set(vocabulary.NAMES) & set(vocabulary.SURNAMES)
    assert not set(vocabulary.FEMALE_NAMES) & set(vocabulary.MALE_NAMES)


def test_praise_is_not_blame():
    assert not set(vocabulary.PRAISE) & set(vocabulary.BLAME)
    assert not set(vocabulary.LIKING_VERBS) & set(vocabulary.DISLIKING_VERBS)
