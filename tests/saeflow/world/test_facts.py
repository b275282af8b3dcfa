"""Facts hold of the tokens that a reader would name."""

import numpy as np
import pytest

from saeflow.world import facts as module
from saeflow.world.corpus import generate_documents
from saeflow.world.document import FIRST_MENTION, LATER_MENTION, ROLE_ID
from saeflow.world.facts import CONTEXT, LEXICAL, ROLE, Facts, frequent_words
from saeflow.world.truth import Truth


def truth(words, roles, **columns):
    n = len(words)
    given = {
        "word": np.array(words),
        "role": np.array([ROLE_ID[role] for role in roles]),
        **{name: np.zeros(n, int) for name in ("polarity", "negated", "mention", "label")},
        "kind": np.full(n, "story"),
        "topic": np.full(n, "sea"),
        **{name: np.zeros(n, bool) for name in ("quoted", "speaker")},
    }
    return Truth(**{**given, **{name: np.array(column) for name, column in columns.items()}})


#        0       1      2       3      4      5        6        7       8
WORDS = "Anna was near the anchor . Anna waves awful".split()
ROLES = "name other other other owned_object other name other sentiment".split()
FIRST = truth(
    WORDS,
    ROLES,
    polarity=[0, 0, 0, 0, 0, 0, 1, 1, -1],
    negated=[0] * 7 + [1, 1],
    mention=[FIRST_MENTION, 0, 0, 0, FIRST_MENTION, 0, LATER_MENTION, 0, 0],
    label=[0] * 5 + [1, 2, 4, 5],
    kind=["story"] * 5 + ["review"] * 4,
    topic=["sea"] * 5 + ["film"] * 4,
    quoted=[False] * 8 + [True],
    speaker=[True] + [False] * 8,
)


def holding(found, name, part=0):
    return found.holds[part].toarray()[found.names.index(name)].nonzero()[0].tolist()


def test_each_fact_holds_where_a_reader_sees_it():
    found = Facts.of([FIRST], n_words=1, least=1)
    kinds = dict(zip(found.names, found.kinds, strict=True))
    expected = {
        ("word Anna", LEXICAL): [0, 6],
        ("female name", LEXICAL): [0, 6],
        ("past tense", LEXICAL): [1],
        ("plural noun", LEXICAL): [7],
        ("blaming word", LEXICAL): [8],
        ("name", ROLE): [0, 6],
        ("owned object", ROLE): [4],
        ("speaker", ROLE): [0],
        ("kind story", CONTEXT): [0, 1, 2, 3, 4],
        ("kind review", CONTEXT): [5, 6, 7, 8],
        ("topic sea", CONTEXT): [0, 1, 2, 3, 4],
        ("topic film", CONTEXT): [5, 6, 7, 8],
        ("good review", CONTEXT): [7, 8],
        ("bad review", CONTEXT): [5, 6],
        ("praise", CONTEXT): [6, 7],
        ("blame", CONTEXT): [8],
        ("negated", CONTEXT): [7, 8],
        ("speech", CONTEXT): [8],
        ("first mention", CONTEXT): [0, 4],
        ("later mention", CONTEXT): [6],
    }
    for (name, kind), tokens in expected.items():
        assert (holding(found, name), kinds[name]) == (tokens, kind), name
    assert found.left_out["surname"] == found.left_out["male name"] == 0


def test_words_are_chosen_by_frequency_and_then_by_the_alphabet():
    some = truth(list("bbaac") + ["x"], ["place"] * 5 + ["name"])
    assert frequent_words(some, 2) == ["x", "a", "b"]  # in the order of roles
    assert frequent_words(some, 0) == []
    both = truth(["x", "x", "y"], ["place", "name", "name"])
    assert frequent_words(both, 1) == ["x"]


def test_facts_are_kept_that_hold_and_fail_often_enough_in_every_part():
    second = truth(["Anna", "Anna", "is", "Tom"], ["name", "name", "other", "name"])
    found = Facts.of([FIRST, second], n_words=1, least=2)
    assert set(found.names) == {"word Anna", "female name"}
    assert holding(found, "word Anna", 1) == [0, 1]
    assert found.left_out["name"] == 2  # of the second only one token is none
    assert found.left_out["kind story"] == 4  # all tokens of the second
    assert [one.shape for one in found.holds] == [(len(found.names), 9), (len(found.names), 4)]


def test_no_fact_is_left_where_tokens_are_too_few():
    found = Facts.of([FIRST], n_words=1, least=10)
    assert found.names == () and found.holds[0].shape == (0, 9) and found.left_out


@pytest.fixture(scope="module")
def vocabulary():
    words = {}
    for document in generate_documents(0, 200_000):
        for word, role in zip(document.words, document.role, strict=True):
            words.setdefault(word, set()).add(role)
    return words


def test_classes_of_words_are_of_words_that_the_world_has(vocabulary):
    for name, words in module._CLASSES.items():
        assert set(words) <= set(vocabulary), name
        assert len(set(words)) == len(words), name
    assert not set(module._CLASSES["past tense"]) & set(module._CLASSES["present tense"])
