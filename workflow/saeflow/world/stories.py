"""Stories: people with objects, places and friends, and an ending that the story decides.

Each person owns one object of a known colour; later sentences return to people by name, surname
or pronoun and to objects by colour or owner. Read `write_story` first.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from saeflow.world import vocabulary as words
from saeflow.world.document import Document, Pool, Slot, Writer, pool, slot

N_CLOZE_OBJECTS = 10
N_CLOZE_SENTENCES = 20

_INTRODUCTIONS = (
    "{who.name} {who.surname} was a {who.occupation} from {who.village} .",
    "one {time} , {who.name} {who.surname} , a {who.occupation} , came from {who.village} .",
)
_POSSESSIONS = (
    "{who.name} had a {who.colour} {who.object} .",
    "{who.he} always had a {who.colour} {who.object} .",
    "{who.name} {see} a {who.colour} {who.object} .",
)
_HOMES = (
    "{who.name} lived near the {who.place} .",
    "{who.he} lived near the {who.place} with a {who.animal} .",
)
_ABOUT_ONE = (
    "the {who.colour} {who.object} was still in the {place} .",
    "{who.name} {hold} the {who.colour} {who.object} again .",
    "{who.name} left the {who.colour} {who.object} in the {who.place} .",
    "where was the {who.colour} {who.object} ?",
    "{who.name} {take} the {who.colour} {who.object} home .",
    "{who.name} 's {who.object} was in the {place} .",
    "all friends saw {who.name} 's {who.object} .",
    "the {who.occupation} lost {who.name} 's {who.object} near the {who.place} .",
    "{who.name} 's {who.object} was {who.colour} .",
    "{who.name} {take} the {who.object} to the {who.place} .",
    "{who.name} {who.surname} {hold} the {who.object} .",
    "{who.name} {hold} the {who.colour} {who.object} and {move} away .",
    "{who.name} {who.surname} {move} to the {who.place} .",
    "{who.name} {who.surname} felt {glad} about the {who.object} .",
    "in the {time} , {who.name} {move} back to {who.village} .",
    "the {who.animal} of {who.name} slept beside the {who.object} .",
    "{who.name} looked for {who.his} {who.object} near the {place} .",
    '" I lost my {who.object} , " said {who.name} {who.surname} .',
    "there was {scenery} and more {scenery} in the {who.place} .",
    "{who.name} {who.surname} was {sad} because of the {scenery} .",
    "when {who.he} had the {who.object} , {who.name} was {glad} .",
)
_ABOUT_TWO = (
    "{who.name} {give} the {who.colour} {who.object} to {friend.name} .",
    "{friend.name} {see} the {who.colour} {who.object} of {who.name} .",
    "{who.name} {see} {friend.name} 's {friend.object} in the {place} .",
    "{who.name} {take} {friend.name} 's {friend.object} to the {friend.place} .",
    "{who.name} asked about {friend.name} 's {friend.object} .",
    "{who.name} {who.surname} {meet} {friend.name} {friend.surname} in the {friend.place} .",
    "{who.name} asked {friend.name} about the {friend.object} .",
    "{friend.name} told {who.name} where the {friend.object} was .",
    "{who.name} {meet} {friend.name} {friend.surname} , and {friend.name} smiled .",
    '" where is your {friend.object} ? " {who.name} asked {friend.name} .',
    "when {who.name} and {friend.name} {move} to the {place} , "
    "{friend.name} {give} a {found} to {who.name} .",
    "{who.name} and {friend.name} were in the {place} , "
    "and {who.name} {give} the {found} to {friend.name} .",
)
_ABOUT_FOUND = (
    "there was a {found} in the {place} .",
    "{who.name} {see} a {found} near the {place} .",
    "a {found} was behind the {place} .",
    "{who.name} left the {found} in the {place} .",
)

# The last word of these is decided by the passage: an object by its colour ...
OBJECT_ENDINGS = (
    "after the {time} , {friend.name} looked everywhere and finally found the {who.colour} "
    "{who.object}",
    "at last {friend.name} smiled because {who.name} had the {who.colour} {who.object}",
    "{who.name} cried because there was nothing left of the {who.colour} {who.object}",
    "{friend.name} {move} home and never lost the {who.colour} {who.object}",
)
# ... a surname by the name ...
SURNAME_ENDINGS = (
    "{friend.name} {move} back to {who.village} and {meet} {who.name} {who.surname}",
)
# ... an object by its owner.
OWNER_ENDINGS = (
    "after the {time} , {friend.name} looked everywhere and finally found {who.name} 's "
    "{who.object}",
    "{friend.name} {move} home with {who.name} 's {who.object}",
    "at last {friend.name} thought about {who.name} 's {who.object}",
)
_LOOSE_ENDINGS = (
    "after the {time} , {who.name} looked everywhere and finally found the {who.object}",
    "{who.name} {move} home and {take} the {who.object}",
    "at last {friend.name} smiled and {meet} {who.name} because {who.he} had the {who.object}",
    '" I will always have this , " said {who.name} , and {hold} the {who.object}',
    "{friend.name} asked {who.name} about the {friend.object} , "
    "but {who.name} only wanted the {who.object}",
    "{who.name} cried because without {friend.name} there was nothing in the {who.place}",
    "all the friends of {who.name} {move} to {who.village}",
)
ANY_ENDING = OBJECT_ENDINGS + SURNAME_ENDINGS + OWNER_ENDINGS + _LOOSE_ENDINGS

_POOLS: dict[str, Pool] = {
    "time": pool(words.TIMES, "time"),
    "glad": pool(words.GLAD_FEELINGS, "feeling"),
    "sad": pool(words.SAD_FEELINGS, "feeling"),
    "take": pool(words.TAKE_VERBS),
    "hold": pool(words.HOLD_VERBS),
    "move": pool(words.MOVE_VERBS),
    "see": pool(words.SEE_VERBS),
    "give": pool(words.GIVE_VERBS),
    "meet": pool(words.MEET_VERBS),
}


@dataclass
class Story:
    """A story and what can be asked about it.

    Attributes
    ----------
    document : Document
    query : int
        Index of the ending's last word (before the full stop): the word to predict.
    owned : list of str
        The objects that somebody owns.
    objects : list of str
        Ten objects of the topic, the owned ones first. In a cloze story all ten occur.
    surnames : list of str
        The people's surnames.
    """

    document: Document
    query: int
    owned: list[str]
    objects: list[str]
    surnames: list[str]


@dataclass
class _Person:
    """One person's words, as the slots of a sentence's subject and of a subject's friend."""

    who: dict[str, Slot]
    friend: dict[str, Slot]


def write_story(
    rng: random.Random,
    *,
    n_sentences: int | None = None,
    n_people: int | None = None,
    endings: Sequence[str] = ANY_ENDING,
    every_object: bool = False,
) -> Story:
    """Write one story.

    Parameters
    ----------
    n_sentences
        Sentences before the ending; 8 to 20 by default.
    n_people
        People in the story; 2 to 4 by default.
    endings
        Templates for the last sentence, without its full stop.
    every_object
        Whether ten objects of the topic must occur (for a ten-way cloze).
    """
    topic_name = rng.choice(tuple(words.TOPICS))
    topic = words.TOPICS[topic_name]
    n_people = n_people or rng.choice((2, 3, 3, 4))
    n_sentences = n_sentences or rng.randint(8, 20)
    objects = rng.sample(topic.objects, len(topic.objects))[:N_CLOZE_OBJECTS]
    people = _cast(rng, n_people, topic, objects)
    writer = Writer(Document("story", topic_name), rng, _pools(topic, objects[n_people:]))
    _introduce(writer, people)
    _narrate(writer, people, objects[n_people:] if every_object else [], n_sentences)
    query = _end(writer, people, endings)
    return Story(
        writer.document,
        query,
        owned=objects[:n_people],
        objects=objects,
        surnames=[person.who["who.surname"].word for person in people],
    )


def _end(writer: Writer, people: Sequence[_Person], endings: Sequence[str]) -> int:
    """Write the last sentence and return the index of the word before its full stop."""
    person, friend = writer.rng.sample(people, 2)
    writer.say(writer.rng.choice(endings), {**person.who, **friend.friend}, ends=False)
    writer.say(".", {})
    return len(writer.document.words) - 2


def _pools(topic: words.Topic, found: Sequence[str]) -> dict[str, Pool]:
    return _POOLS | {
        "place": pool(topic.places, "place"),
        "scenery": pool(topic.scenery),
        "found": pool(found, "passing_object"),
    }


def _cast(
    rng: random.Random, n_people: int, topic: words.Topic, objects: Sequence[str]
) -> list[_Person]:
    """Invent people with distinct names, places and colours."""
    names = rng.sample(words.NAMES, n_people)
    surnames = rng.sample(words.SURNAMES, n_people)
    places = rng.sample(topic.places, n_people)
    colours = rng.sample(words.COLOURS, n_people)
    people = []
    for i, name in enumerate(names):
        female = name in _FEMALE
        slots = {
            "name": slot(name, "name"),
            "surname": slot(surnames[i], "surname"),
            "object": slot(objects[i], "owned_object"),
            "colour": slot(colours[i], "colour"),
            "place": slot(places[i], "place"),
            "occupation": slot(rng.choice(topic.occupations), "occupation"),
            "village": slot(rng.choice(words.VILLAGES), "village"),
            "animal": slot(rng.choice(topic.animals), "animal"),
            "he": slot("she" if female else "he"),
            "his": slot("her" if female else "his"),
        }
        people.append(
            _Person(
                who={f"who.{key}": value for key, value in slots.items()},
                friend={f"friend.{key}": value for key, value in slots.items()},
            )
        )
    return people


def _introduce(writer: Writer, people: Sequence[_Person]) -> None:
    rng = writer.rng
    for person in people:
        writer.say(rng.choice(_INTRODUCTIONS), person.who)
        writer.say(rng.choice(_POSSESSIONS), person.who)
        if rng.random() < 0.5:
            writer.say(rng.choice(_HOMES), person.who)


def _narrate(
    writer: Writer, people: Sequence[_Person], must_occur: Sequence[str], n_sentences: int
) -> None:
    """Continue to ``n_sentences`` sentences, mentioning each object of ``must_occur``."""
    rng, missing = writer.rng, list(must_occur)
    while writer.n_sentences < n_sentences:
        draw = rng.random()
        person, friend = rng.sample(people, 2)
        n_left = n_sentences - writer.n_sentences
        if missing and (draw < 0.35 or n_left <= len(missing)):
            slots = {**person.who, "found": slot(missing.pop(), "passing_object")}
            writer.say(rng.choice(_ABOUT_FOUND), slots)
        elif draw < 0.15 and not must_occur:
            writer.say(rng.choice(_ABOUT_FOUND), person.who)
        elif draw < 0.6:
            writer.say(rng.choice(_ABOUT_ONE), person.who)
        else:
            writer.say(rng.choice(_ABOUT_TWO), {**person.who, **friend.friend})


_FEMALE = frozenset(words.FEMALE_NAMES)
