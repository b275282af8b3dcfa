"""Tests of the writer that keeps words and truth aligned."""

import random

from saeflow.world.document import (
    FIRST_MENTION,
    LATER_MENTION,
    NOT_MENTIONED,
    ROLE_ID,
    ROLES,
    Document,
    Writer,
    pool,
    slot,
)


def write(*templates, pools=None, **slots):
    document = Document("story", "farm")
    writer = Writer(document, random.Random(0), pools)
    for template in templates:
        writer.say(template, slots)
    return document


def test_slots_are_replaced_and_keep_their_role():
    document = write("{who} saw the {thing} .", who=slot("Anna", "name"), thing=slot("rake"))
    assert document.text == "Anna saw the rake ."
    assert [ROLES[role] for role in document.role] == ["name"] + ["other"] * 4


def test_an_unfixed_slot_is_drawn_from_its_pool():
    pools = {"thing": pool(("rake",), "passing_object")}
    document = write("the {thing} .", pools=pools)
    assert document.words == ["the", "rake", "."]
    assert document.role[1] == ROLE_ID["passing_object"]


def test_a_becomes_an_before_a_vowel():
    assert write("a {x} and a {y} .", x=slot("oven"), y=slot("pan")).text == "an oven and a pan ."


def test_the_second_mention_of_an_entity_is_told_from_the_first():
    document = write("{who} met {who} .", "{who} ran .", who=slot("Anna", "name"))
    assert document.mention == [
        FIRST_MENTION, NOT_MENTIONED, LATER_MENTION, NOT_MENTIONED,
        LATER_MENTION, NOT_MENTIONED, NOT_MENTIONED,
    ]  # fmt: skip


def test_sentences_are_counted_where_they_end():
    document = Document("review", "film")
    writer = Writer(document, random.Random(0))
    writer.say("it was", {}, ends=False)
    writer.say("not bad", {}, polarity=1, negated=True, ends=False)
    writer.say(".", {})
    writer.say("no .", {})
    assert document.sentence == [0, 0, 0, 0, 0, 1, 1]
    assert document.polarity == [0, 0, 1, 1, 0, 0, 0]
    assert document.negated == [0, 0, 1, 1, 0, 0, 0]
    assert ROLES[document.role[2]] == "negator"
