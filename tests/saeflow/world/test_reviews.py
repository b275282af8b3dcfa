"""Tests of reviews."""

import random

import pytest

from saeflow.world import vocabulary
from saeflow.world.reviews import write_review


def test_the_stars_are_told_at_the_end():
    for stars, word in enumerate(vocabulary.STAR_COUNTS, start=1):
        review = write_review(random.Random(0), stars=stars)
        assert review.label == stars
        assert review.text.endswith(f"rating : {word} stars .")


@pytest.mark.parametrize(
    ("stars", "allowed"),
    [
        (1, vocabulary.STRONG_BLAME),
        (2, vocabulary.MILD_BLAME),
        (3, vocabulary.MILD_PRAISE + vocabulary.MILD_BLAME),
        (4, vocabulary.MILD_PRAISE),
        (5, vocabulary.STRONG_PRAISE),
    ],
)
def test_the_verdict_fits_the_stars(stars, allowed):
    rng = random.Random(0)
    for _ in range(30):
        words = write_review(rng, stars=stars).words
        verdict = words[words.index("overall") :]
        assert verdict[verdict.index("was") + 1] in allowed


def test_without_a_verdict_a_review_ends_where_it_would_begin():
    rng = random.Random(0)
    for _ in range(30):
        words = write_review(rng, verdict=False).words
        assert words[-1] == "was" and "stars" not in words
        assert words[-6:-3] == ["overall", ",", "the"]


def test_an_aspect_belongs_to_what_is_reviewed():
    rng = random.Random(0)
    for _ in range(30):
        review = write_review(rng)
        others = {
            aspect
            for name, thing in vocabulary.REVIEWED.items()
            for aspect in thing.aspects
            if name != review.topic
        }
        assert not others & set(review.words)
