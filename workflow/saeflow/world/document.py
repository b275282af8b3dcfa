"""A document under construction: its words, and the truth about each of them.

The grammars (`stories`, `reviews`, `indirect_objects`, `inventories`) fill templates through a
`Writer`, which keeps words and truth aligned. Read `Writer.say` first.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

KINDS = ("story", "review", "indirect_object", "inventory")
ROLES = (
    "other",
    "name",
    "surname",
    "owned_object",
    "passing_object",
    "place",
    "occupation",
    "village",
    "title",
    "aspect",
    "sentiment",
    "intensifier",
    "negator",
    "feeling",
    "animal",
    "colour",
    "time",
    "genre",
)
ROLE_ID = {role: index for index, role in enumerate(ROLES)}
NOT_MENTIONED, FIRST_MENTION, LATER_MENTION = 0, 1, 2

NEGATORS = frozenset({"not", "never"})
_NEGATOR = ROLE_ID["negator"]
_VOWELS = frozenset("aeiouAEIOU")
_ENTITY_ROLES = frozenset(
    ROLE_ID[role]
    for role in (
        "name", "surname", "owned_object", "passing_object", "place", "occupation", "village",
        "title", "aspect",
    )
)  # fmt: skip


class Slot(NamedTuple):
    """A word with its role, an index into `ROLES`, ready to be put into a template."""

    word: str
    role: int


class Pool(NamedTuple):
    """Words of one role, an index into `ROLES`, from which a template's slot draws at random."""

    words: Sequence[str]
    role: int


def slot(word: str, role: str = "other") -> Slot:
    """Return a slot whose role is given by name."""
    return Slot(word, ROLE_ID[role])


def pool(words: Sequence[str], role: str = "other") -> Pool:
    """Return a pool whose role is given by name."""
    return Pool(words, ROLE_ID[role])


@dataclass
class Document:
    """Words and truth of one document; the lists are aligned one-to-one.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    topic : str
        A key of `vocabulary.TOPICS`, or of `vocabulary.REVIEWED` for a review.
    label : int
        The stars of a review, 1 to 5; 0 for everything else.
    words : list of str
    role : list of int
        Index into `ROLES`.
    polarity : list of int
        1 or -1 in a clause that praises or blames, as meant ("not bad" praises); 0 elsewhere.
    negated : list of int
        1 on a negator and on what it negates.
    mention : list of int
        1 where a person, thing or place is mentioned first in the document, 2 later, else 0.
    sentence : list of int
        The sentence's number, from 0.
    """

    kind: str
    topic: str
    label: int = 0
    words: list[str] = field(default_factory=list)
    role: list[int] = field(default_factory=list)
    polarity: list[int] = field(default_factory=list)
    negated: list[int] = field(default_factory=list)
    mention: list[int] = field(default_factory=list)
    sentence: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The words joined by single spaces."""
        return " ".join(self.words)


class Writer:
    """Writes templates into a document.

    Parameters
    ----------
    document
        Where the words go.
    rng
        The only source of randomness.
    pools
        Pools by slot name, for slots that a sentence does not fix.

    Attributes
    ----------
    n_sentences : int
        Complete sentences so far.
    """

    def __init__(
        self, document: Document, rng: random.Random, pools: Mapping[str, Pool] | None = None
    ) -> None:
        self.document, self.rng, self.pools = document, rng, pools or {}
        self.n_sentences = 0
        self._seen: set[str] = set()

    def say(
        self,
        template: str,
        slots: Mapping[str, Slot],
        *,
        polarity: int = 0,
        negated: bool = False,
        ends: bool = True,
    ) -> None:
        """Append a template's words.

        Parameters
        ----------
        template
            Words separated by spaces; a word in braces is a slot. "a" becomes "an" before a vowel.
        slots
            Words for the slots that are fixed; the others are drawn from the pools.
        polarity
            1 praises, -1 blames.
        negated
            Whether these words are under a negation.
        ends
            Whether the sentence ends here.
        """
        words: list[str] = []
        roles: list[int] = []
        for word, is_slot in _parse(template):
            role = _NEGATOR if word in NEGATORS else 0
            if is_slot:
                word, role = slots.get(word) or self._draw(word)
            words.append(word)
            roles.append(role)
        for i, word in enumerate(words[:-1]):
            if word == "a" and words[i + 1][0] in _VOWELS:
                words[i] = "an"
        self._append(words, roles, polarity, int(negated))
        self.n_sentences += ends

    def _draw(self, name: str) -> tuple[str, int]:
        words, role = self.pools[name]
        return words[int(self.rng.random() * len(words))], role

    def _append(self, words: list[str], roles: list[int], polarity: int, negated: int) -> None:
        document, n_words = self.document, len(words)
        document.words += words
        document.role += roles
        document.polarity += [polarity] * n_words
        document.negated += [negated] * n_words
        document.sentence += [self.n_sentences] * n_words
        seen, mention = self._seen, document.mention
        for word, role in zip(words, roles, strict=True):
            if role not in _ENTITY_ROLES:
                mention.append(NOT_MENTIONED)
            elif word in seen:
                mention.append(LATER_MENTION)
            else:
                mention.append(FIRST_MENTION)
                seen.add(word)


@cache
def _parse(template: str) -> tuple[tuple[str, bool], ...]:
    """Split a template into words and slot names."""
    return tuple(
        (word[1:-1], True) if word.startswith("{") else (word, False) for word in template.split()
    )
