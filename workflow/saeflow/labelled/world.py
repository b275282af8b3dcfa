"""Reviews of the built-in world as labelled texts: fresh ones, with what is known of each.

They are written like those of the world's corpus and end where the verdict's first word would be,
from random numbers that neither the corpus nor the prompts have. Read `reviews`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from saeflow.labelled.labelled import SHIFT, TEST, TRAIN
from saeflow.labelled.texts import Texts
from saeflow.world.document import ROLE_ID, Document
from saeflow.world.reviews import write_review
from saeflow.world.vocabulary import MILD_BLAME, MILD_PRAISE

LABELS = ("sentiment", "strength", "thing", "negation")
"""What is asked: praise or blame, by the stars; strong or mild, by how far these are from three;
what the review is of; whether it says something by a negation."""

WORDS = {"sentiment": {"positive": f" {MILD_PRAISE[0]}", "negative": f" {MILD_BLAME[0]}"}}
"""With which a verdict may go on."""

_STARS = (1, 2, 4, 5)
_OPINIONS = (ROLE_ID["sentiment"], ROLE_ID["negator"])
_TRAIN_TEXTS = 4  # for each test text, as there are prompts


def reviews(seed: int, n_prompts: int) -> Texts:
    """Return reviews with their labels and the characters of the words that praise or blame.

    There are as many test texts as the world has prompts, four times as many training texts, and as
    many again of a second distribution: reviews that make at least half of their points by a
    negation ("not bad at all") or a concession ("the plot was dull, but ...").
    """
    rng = random.Random(f"labelled reviews {seed}")
    found = [_review(rng, i) for i in range(n_prompts * (1 + _TRAIN_TEXTS))]
    while len(found) < n_prompts * (2 + _TRAIN_TEXTS):
        review = _review(rng, len(found))
        if _is_roundabout(review):
            found.append(review)
    told = [_labels(review) for review in found]
    labels: dict[str, list[str | None]] = {name: [one[name] for one in told] for name in LABELS}
    sizes = (n_prompts * _TRAIN_TEXTS, n_prompts, n_prompts)
    return Texts(
        [review.text for review in found],
        [f"review {i}" for i in range(len(found))],
        np.repeat([TRAIN, TEST, SHIFT], sizes),
        labels,
        [_opinions(review) for review in found],
    )


def _review(rng: random.Random, index: int) -> Document:
    return write_review(rng, stars=_STARS[index % len(_STARS)], verdict=False)


def _labels(review: Document) -> Mapping[str, str]:
    return {
        "sentiment": "praise" if review.label > 3 else "blame",
        "strength": "strong" if review.label in (1, 5) else "mild",
        "thing": review.topic,
        "negation": "yes" if any(review.negated) else "no",
    }


def _is_roundabout(review: Document) -> bool:
    """Whether half of the sentences that judge negate something or concede it."""
    judging: dict[int, set[Any]] = {}
    words = zip(review.sentence, review.polarity, review.negated, strict=True)
    for sentence, polarity, negated in words:
        if polarity:
            judging.setdefault(sentence, set()).add((polarity, negated))
    n_roundabout = sum(len(parts) > 1 for parts in judging.values())
    return 2 * n_roundabout >= len(judging)


def _opinions(review: Document) -> np.ndarray:
    """Return where the words that praise, blame or negate stand in the text, (m, 2)."""
    spans, start = [], 0
    for word, role in zip(review.words, review.role, strict=True):
        end = start + len(word)
        if role in _OPINIONS:
            spans.append((start, end))
        start = end + 1  # words have one space between them
    return np.array(spans, np.int64).reshape(-1, 2)
