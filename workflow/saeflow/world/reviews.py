"""Reviews of films, restaurants and books, with one to five stars and graded, negated opinions.

How many clauses praise depends on the stars, so that a reader who understands negation ("not
bad at all") and concession ("the plot was dull, but I loved the cast") knows the stars before
they are told. Read `write_review` first.
"""

from __future__ import annotations

import random

from saeflow.world import vocabulary as words
from saeflow.world.document import Document, Pool, Slot, Writer, pool, slot

# The share of clauses that praise, by stars.
PRAISE_SHARE = {1: 0.03, 2: 0.15, 3: 0.5, 4: 0.85, 5: 0.97}
OPENING_OF_VERDICT = "overall , the {adjective} {noun} was"

_OPENINGS = (
    "the {adjective} {noun} is a {genre} {made} by {name} {surname} .",
    "I went to the {adjective} {noun} , a {genre} {made} by {name} {surname} .",
    "this {genre} , the {adjective} {noun} , was {made} by {name} {surname} .",
)
_TWICE_THE_SAME = (
    "the {aspect} was {fitting} and {fitting} .",
    "{marker} , the {aspect} was {very} {fitting} .",
    "the {aspect} was so {fitting} that I {felt} it .",
    "{marker} I {felt} the {aspect} and it was {fitting} .",
)
_PLAIN = ("the {aspect} was {very} {fitting} .", "I {felt} the {aspect} .")
_NEGATED = (
    ("the {aspect} was", "not {opposite} at all"),
    ("the {aspect} of the {adjective} {noun} was", "not {opposite} at all"),
    ("I", "never {felt_opposite} the {aspect}"),
)
_TURNS = (
    "but I {felt} the {aspect} .",
    "but the {aspect} was {fitting} .",
    "although the {aspect} was {fitting} .",
)
_PEOPLE = (
    "{name} {surname} {felt} the {aspect} , and it was {fitting} .",
    "the {maker} {surname} was {fitting} .",
)
_ADVICE = {
    1: "I would recommend it to anyone .",
    -1: "it was a waste of time and money .",
}


def _opinion_pools(sign: int) -> dict[str, Pool]:
    """Pools whose words praise (1) or blame (-1); "opposite" ones do the reverse."""
    good = pool(_graded(words.STRONG_PRAISE, words.MILD_PRAISE), "sentiment")
    bad = pool(_graded(words.STRONG_BLAME, words.MILD_BLAME), "sentiment")
    like = pool(words.LIKING_VERBS, "sentiment")
    dislike = pool(words.DISLIKING_VERBS, "sentiment")
    if sign < 0:
        good, bad, like, dislike = bad, good, dislike, like
    return {
        "fitting": good,
        "opposite": bad,
        "felt": like,
        "felt_opposite": dislike,
        "very": pool(words.INTENSIFIERS, "intensifier"),
        "marker": pool(words.GLAD_MARKERS if sign > 0 else words.SAD_MARKERS),
    }


def _graded(strong: tuple[str, ...], mild: tuple[str, ...]) -> tuple[str, ...]:
    """Return a list in which strong words make up about two fifths."""
    return strong * 5 + mild * 6


_POOLS = {1: _opinion_pools(1), -1: _opinion_pools(-1)}


def write_review(rng: random.Random, *, stars: int | None = None, verdict: bool = True) -> Document:
    """Write one review, of one to five ``stars``; of random ones by default.

    Without a ``verdict`` it ends where the verdict's first word would be.
    """
    thing = rng.choice(tuple(words.REVIEWED))
    stars = stars or rng.randint(1, 5)
    writer = Writer(Document("review", thing, stars), rng)
    reviewed = words.REVIEWED[thing]
    about = _about(rng, reviewed)
    writer.say(rng.choice(_OPENINGS), about)
    aspects = rng.sample(reviewed.aspects, 5)
    for i in range(rng.randint(4, 6)):
        sign = 1 if rng.random() < PRAISE_SHARE[stars] else -1
        here, there = aspects[i % 5], aspects[(i + 1) % 5]
        _judge(writer, about, sign, here, there)
    if verdict:
        _conclude(writer, about, stars)
    else:
        writer.say(OPENING_OF_VERDICT, about, ends=False)
    return writer.document


def _about(rng: random.Random, reviewed: words.Reviewed) -> dict[str, Slot]:
    return {
        "adjective": slot(rng.choice(words.TITLE_ADJECTIVES), "title"),
        "noun": slot(rng.choice(words.TITLE_NOUNS), "title"),
        "name": slot(rng.choice(words.NAMES), "name"),
        "surname": slot(rng.choice(words.SURNAMES), "surname"),
        "genre": slot(rng.choice(reviewed.genres), "genre"),
        "made": slot(reviewed.made),
        "maker": slot(reviewed.maker, "occupation"),
    }


def _judge(writer: Writer, about: dict[str, Slot], sign: int, here: str, there: str) -> None:
    """Write one sentence whose point praises (1) or blames (-1)."""
    rng = writer.rng
    slots = {**about, "aspect": slot(here, "aspect")}
    writer.pools = _POOLS[sign]
    draw = rng.random()
    if draw < 0.4:
        writer.say(rng.choice(_TWICE_THE_SAME), slots, polarity=sign)
    elif draw < 0.64:
        writer.say(rng.choice(_PLAIN), slots, polarity=sign)
    elif draw < 0.79:
        subject, negation = rng.choice(_NEGATED)
        writer.say(subject, slots, polarity=sign, ends=False)
        writer.say(negation, slots, polarity=sign, negated=True, ends=False)
        writer.say(".", slots, polarity=sign)
    elif draw < 0.91:
        writer.say("the {aspect} was {opposite} ,", slots, polarity=-sign, ends=False)
        turned = {**about, "aspect": slot(there, "aspect")}
        writer.say(rng.choice(_TURNS), turned, polarity=sign)
    else:
        writer.say(rng.choice(_PEOPLE), slots, polarity=sign)


def _conclude(writer: Writer, about: dict[str, Slot], stars: int) -> None:
    leaning = (stars > 3) - (stars < 3)
    sign = leaning or writer.rng.choice((1, -1))
    extreme = stars in (1, 5)
    if sign > 0:
        last = words.STRONG_PRAISE if extreme else words.MILD_PRAISE
    else:
        last = words.STRONG_BLAME if extreme else words.MILD_BLAME
    slots = {**about, "last": slot(writer.rng.choice(last), "sentiment")}
    writer.say(OPENING_OF_VERDICT + " {last} .", slots, polarity=sign)
    writer.say(_ADVICE[sign], slots, polarity=sign)
    writer.say(f"rating : {words.STAR_COUNTS[stars - 1]} stars .", slots, polarity=leaning)
