"""Two people, one gives something to the other: who gets it is whoever does not give.

Read `write_indirect_objects` first.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from saeflow.world import vocabulary as words
from saeflow.world.document import Document, Writer, pool, slot

# Each template is one or two sentences; the receiver's name comes last, before the full stop.
TEMPLATES = (
    ("when {first} and {second} {move} to the {place} , {giver} {give} a {thing} to {receiver} .",),
    (
        "after {first} and {second} {move} to the {place} , "
        "{giver} {give} the {thing} to {receiver} .",
    ),
    (
        "in the {time} {first} and {second} were at the {place} , "
        "and {giver} {give} a {thing} to {receiver} .",
    ),
    ("then {first} and {second} had a {thing} .", "{giver} {give} it to {receiver} ."),
)
# Once two people have met, either may give again.
_LATER = (
    "then {giver} {give} a {thing} to {receiver} .",
    "later {giver} {give} the {thing} to {receiver} .",
    "in the {time} , {giver} {give} a {thing} to {receiver} .",
    "{giver} also had a {thing} and {give} it to {receiver} .",
)
ORDERS = ("ABBA", "BABA")


@dataclass
class IndirectObject:
    """Two people who meet and the question who receives.

    Attributes
    ----------
    document : Document
    query : int
        Index of the receiver's last mention in the last meeting's first exchange: the word to
        predict.
    receiver, giver : str
        The right answer and the wrong one.
    order : str
        "ABBA" if the receiver was named first, "BABA" if the giver was.
    """

    document: Document
    query: int
    receiver: str
    giver: str
    order: str


def write_indirect_objects(
    rng: random.Random,
    *,
    n_meetings: int | None = None,
    max_later: int = 3,
    order: str | None = None,
) -> IndirectObject:
    """Write a document of one to three meetings, in each of which things change hands.

    Parameters
    ----------
    n_meetings
        How many pairs of people; random by default.
    max_later
        At most so many exchanges follow the first one of a meeting.
    order
        The order of the last meeting's first exchange, one of `ORDERS`; random by default.
    """
    topic_name = rng.choice(tuple(words.TOPICS))
    topic = words.TOPICS[topic_name]
    pools = {
        "place": pool(topic.places, "place"),
        "thing": pool(topic.objects, "passing_object"),
        "move": pool(words.MOVE_VERBS),
        "give": pool(words.GIVE_VERBS),
        "time": pool(words.TIMES, "time"),
    }
    writer = Writer(Document("indirect_object", topic_name), rng, pools)
    for _ in range(n_meetings or rng.randint(1, 3)):
        question = _meet(writer, order or rng.choice(ORDERS), rng.randint(0, max_later))
    return question


def _meet(writer: Writer, order: str, n_later: int) -> IndirectObject:
    """Write one meeting; its first exchange is the question."""
    rng = writer.rng
    receiver, giver = rng.sample(words.NAMES, 2)
    first, second = (receiver, giver) if order == "ABBA" else (giver, receiver)
    thing = slot(rng.choice(writer.pools["thing"].words), "passing_object")
    slots = {
        "first": slot(first, "name"),
        "second": slot(second, "name"),
        "giver": slot(giver, "name"),
        "receiver": slot(receiver, "name"),
    }
    for sentence in rng.choice(TEMPLATES):
        writer.say(sentence, {**slots, "thing": thing})
    query = len(writer.document.words) - 2
    for _ in range(n_later):
        one, other = rng.sample((slots["first"], slots["second"]), 2)
        writer.say(rng.choice(_LATER), {"giver": one, "receiver": other})
    return IndirectObject(writer.document, query, receiver, giver, order)
