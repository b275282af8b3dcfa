"""Inventories: a few people and their objects, listed several times in changing order.

They train the model to look back for the line with the same name. Read `write_inventory` first.
"""

from __future__ import annotations

import random

from saeflow.world import vocabulary as words
from saeflow.world.document import Document, Writer, slot

LINES = (
    "{name} : {object} ;",
    "{name} has the {colour} {object} .",
    "the {object} is for {name} ;",
    "{name} had a {colour} {object} ,",
)


def write_inventory(rng: random.Random) -> Document:
    """Write one inventory of four to seven people, read out two to four times."""
    topic_name = rng.choice(tuple(words.TOPICS))
    writer = Writer(Document("inventory", topic_name), rng)
    n_people = rng.randint(4, 7)
    names = rng.sample(words.NAMES, n_people)
    objects = rng.sample(words.TOPICS[topic_name].objects, n_people)
    colours = rng.sample(words.COLOURS, n_people)
    owners = [
        {
            "name": slot(name, "name"),
            "object": slot(thing, "owned_object"),
            "colour": slot(colour, "colour"),
        }
        for name, thing, colour in zip(names, objects, colours, strict=True)
    ]
    for _ in range(rng.randint(2, 4)):
        line = rng.choice(LINES)
        rng.shuffle(owners)
        for owner in owners:
            writer.say(line, owner)
    return writer.document
