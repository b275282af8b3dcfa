"""Tests of inventories."""

import random
from collections import Counter, defaultdict

from saeflow.world import vocabulary
from saeflow.world.document import ROLE_ID
from saeflow.world.inventories import write_inventory


def test_a_name_always_has_the_same_object():
    rng = random.Random(0)
    for _ in range(30):
        document = write_inventory(rng)
        owned = defaultdict(set)
        lines = defaultdict(dict)
        for word, role, line in zip(document.words, document.role, document.sentence, strict=True):
            if word in vocabulary.NAMES:
                lines[line]["name"] = word
            if role == ROLE_ID["owned_object"]:
                lines[line]["object"] = word
        for line in lines.values():
            owned[line["name"]].add(line["object"])
        assert all(len(objects) == 1 for objects in owned.values())


def test_every_reading_names_everybody_once():
    rng = random.Random(1)
    for _ in range(30):
        counts = Counter(w for w in write_inventory(rng).words if w in vocabulary.NAMES)
        assert len(set(counts.values())) == 1
        assert 4 <= len(counts) <= 7 and 2 <= max(counts.values()) <= 4
