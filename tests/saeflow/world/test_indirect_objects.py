"""Tests of exchanges between two people."""

import random
from collections import Counter

import pytest

from saeflow.world import vocabulary
from saeflow.world.indirect_objects import ORDERS, write_indirect_objects


@pytest.mark.parametrize("order", ORDERS)
def test_the_first_exchange_of_a_meeting_has_the_order_asked_for(order):
    rng = random.Random(0)
    for _ in range(50):
        question = write_indirect_objects(rng, n_meetings=1, max_later=0, order=order)
        names = [word for word in question.document.words if word in vocabulary.NAMES]
        receiver, giver = question.receiver, question.giver
        first_two = [receiver, giver] if order == "ABBA" else [giver, receiver]
        assert names == [*first_two, giver, receiver]
        assert question.order == order


def test_the_query_is_the_receivers_mention_at_the_end_of_a_sentence():
    rng = random.Random(1)
    for _ in range(50):
        question = write_indirect_objects(rng)
        words = question.document.words
        assert words[question.query] == question.receiver
        assert words[question.query + 1] == "."


def test_who_receives_is_always_the_other_one_of_the_two_named_last():
    rng = random.Random(4)
    for _ in range(50):
        words = write_indirect_objects(rng).document.words
        names = [word for word in words if word in vocabulary.NAMES]
        for place in range(1, len(words) - 1):
            if words[place] in vocabulary.NAMES and words[place - 1] == "to":
                before = [word for word in words[:place] if word in vocabulary.NAMES]
                giver = before[-1]
                assert words[place] == next(name for name in reversed(before) if name != giver)
        assert len(names) >= 4


def test_both_orders_occur_about_equally_often():
    rng = random.Random(2)
    orders = Counter(write_indirect_objects(rng).order for _ in range(400))
    assert 140 < orders["ABBA"] < 260


def test_there_are_one_to_three_meetings_with_up_to_four_exchanges_each():
    rng = random.Random(3)
    counts = [
        sum(word in vocabulary.NAMES for word in write_indirect_objects(rng).document.words)
        for _ in range(200)
    ]
    assert min(counts) == 4 and 20 < max(counts) <= 30
