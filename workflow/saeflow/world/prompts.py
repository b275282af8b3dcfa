"""Questions about the world, from seeds of their own: the corpus never saw their documents.

Each set is a table with one row per prompt; ``text`` ends right before the word to predict, and
``target`` is that word. ``candidates`` are in alphabetical order, so that a tie between them
favours no role. Read `generate_prompts` first.

last_word
    The last word of a story needs the passage: it is in it, but not in the last sentence.
cloze
    Twenty sentences and a question; ten candidates, all of which occur.
sentiment
    A review up to its verdict; ``label`` is 1 where the stars are four or five, else 0. Besides
    the prompts to score there are four times as many to train a probe on (``part``).
indirect_object
    Who gets it? Half of the prompts in the order ABBA, half BABA.
owner_binding
    Whose object it is, among the objects that somebody in the story owns.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pandas as pd

from saeflow.world import stories
from saeflow.world.indirect_objects import ORDERS, write_indirect_objects
from saeflow.world.reviews import write_review
from saeflow.world.stories import N_CLOZE_SENTENCES, Story, write_story

# A prompt and its target fit a context of 256 with a BOS.
MAX_WORDS = 254
_STARS = (1, 2, 4, 5)

Row = dict[str, Any]


def generate_prompts(name: str, seed: int, n_prompts: int) -> pd.DataFrame:
    """Return one prompt set.

    Parameters
    ----------
    name
        One of `PROMPT_SETS`.
    seed
        The world's seed; prompts use other random numbers than its corpus.
    n_prompts
        How many, besides those for training (``part`` is "test" or "train").
    """
    rng = random.Random(f"prompts {name} {seed}")
    n_train = TRAIN_PROMPTS.get(name, 0) * n_prompts
    rows = [PROMPT_SETS[name](rng, i) for i in range(n_prompts + n_train)]
    table = pd.DataFrame(rows)
    table.insert(0, "prompt", range(len(rows)))
    table.insert(1, "part", ["test"] * n_prompts + ["train"] * n_train)
    return table


def _last_word(rng: random.Random, _index: int) -> Row:
    endings = stories.OBJECT_ENDINGS + stories.SURNAME_ENDINGS
    while True:
        story = write_story(rng, n_sentences=rng.randint(8, 16), endings=endings)
        row = _story_row(story)
        if _needs_passage(row):
            is_surname = row["target"] in story.surnames
            entities = story.surnames if is_surname else story.owned
            return row | {
                "asks_for": "surname" if is_surname else "object",
                "candidates": sorted(entities),
            }


def _cloze(rng: random.Random, _index: int) -> Row:
    while True:
        story = write_story(
            rng,
            n_sentences=N_CLOZE_SENTENCES,
            n_people=rng.choice((2, 3)),
            endings=stories.OBJECT_ENDINGS,
            every_object=True,
        )
        row = _story_row(story)
        passage = set(row["passage"].split())
        exact = story.document.sentence[story.query] == N_CLOZE_SENTENCES
        if exact and _needs_passage(row) and passage.issuperset(story.objects):
            return row | {"candidates": sorted(story.objects)}


def _sentiment(rng: random.Random, index: int) -> Row:
    stars = _STARS[index % len(_STARS)]
    review = write_review(rng, stars=stars, verdict=False)
    return {"text": review.text, "label": int(stars > 3), "stars": stars, "thing": review.topic}


def _indirect_object(rng: random.Random, index: int) -> Row:
    order = ORDERS[index % len(ORDERS)]
    question = write_indirect_objects(rng, n_meetings=1, max_later=0, order=order)
    return {
        "text": " ".join(question.document.words[: question.query]),
        "target": question.receiver,
        "candidates": sorted((question.receiver, question.giver)),
        "order": order,
    }


def _owner_binding(rng: random.Random, _index: int) -> Row:
    while True:
        story = write_story(rng, n_sentences=rng.randint(8, 16), endings=stories.OWNER_ENDINGS)
        row = _story_row(story)
        if _needs_passage(row):
            return row | {"candidates": sorted(story.owned)}


def _story_row(story: Story) -> Row:
    """Split a story at its last sentence and leave out the last word."""
    document, query = story.document, story.query
    start = document.sentence.index(document.sentence[query])
    passage, question = document.words[:start], document.words[start:query]
    return {
        "text": " ".join(passage + question),
        "target": document.words[query],
        "passage": " ".join(passage),
        "question": " ".join(question),
    }


def _needs_passage(row: Row) -> bool:
    """Whether the target is in the passage, not in the question, and the prompt not too long."""
    return (
        row["target"] in row["passage"].split()
        and row["target"] not in row["question"].split()
        and len(row["text"].split()) <= MAX_WORDS
    )


PROMPT_SETS: dict[str, Callable[[random.Random, int], Row]] = {
    "last_word": _last_word,
    "cloze": _cloze,
    "sentiment": _sentiment,
    "indirect_object": _indirect_object,
    "owner_binding": _owner_binding,
}

# Prompts to train a probe on, as a multiple of those to score.
TRAIN_PROMPTS = {"sentiment": 4}
