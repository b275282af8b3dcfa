"""Tests of the guesses that need no model."""

from saeflow.measures.guesses import copied, first_named, most_frequent

WORDS = "the red cup fell . Ann had the red hat . the blue cup was the red".split()


def test_the_most_frequent_candidate_wins():
    assert most_frequent(WORDS, ["hat", "cup"]) == "cup"


def test_of_equals_the_one_that_occurs_last_wins():
    assert most_frequent("a b a b".split(), ["b", "a"]) == "b"
    assert most_frequent("b a b a".split(), ["b", "a"]) == "a"


def test_what_followed_the_last_word_before_is_copied():
    assert copied(WORDS) == "hat"


def test_only_candidates_are_copied_where_there_are_any():
    assert copied(WORDS, ["cup"]) == "cup"


def test_a_word_that_is_new_copies_nothing():
    assert copied("a b c".split()) is None
    assert copied("a b a".split(), ["c"]) is None


def test_the_first_named_occurs_first():
    assert first_named("Ann and Bob . Ann".split(), ["Bob", "Ann"]) == "Ann"
