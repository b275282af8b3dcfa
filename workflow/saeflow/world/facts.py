"""Facts that are known of a world's tokens: each holds of some tokens and not of the others.

Of three kinds:

    lexical  which word it is: a frequent word, or one of a class of words by number, tense, gender
    role     what the word is there: a name, a place, who speaks
    context  what it stands in: a topic, a kind of text, a negation, praise, speech

A lexical fact can be read from the token itself; a role often too, where its words have no other;
a context only from what came before. Read `Facts.of`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from saeflow.world import vocabulary
from saeflow.world.document import FIRST_MENTION, LATER_MENTION, ROLES
from saeflow.world.document import KINDS as KINDS_OF_DOCUMENTS
from saeflow.world.truth import Truth

LEXICAL, ROLE, CONTEXT = KINDS = ("lexical", "role", "context")

_CLASSES = {
    "female name": vocabulary.FEMALE_NAMES,
    "male name": vocabulary.MALE_NAMES,
    "plural noun": vocabulary.PLURAL_NOUNS,
    "past tense": vocabulary.PAST_TENSE,
    "present tense": vocabulary.PRESENT_TENSE,
    "praising word": (*vocabulary.PRAISE, *vocabulary.LIKING_VERBS, *vocabulary.GLAD_MARKERS),
    "blaming word": (*vocabulary.BLAME, *vocabulary.DISLIKING_VERBS, *vocabulary.SAD_MARKERS),
}
"""Classes of words whose truth is in the vocabulary."""

_GOOD, _BAD = 4, 2
"""The fewest stars of a good review, and the most of a bad one."""


class Facts(NamedTuple):
    """Facts about the tokens of some parts of a text.

    Attributes
    ----------
    names, kinds : tuple of str
        Of each fact; kinds are those of `KINDS`.
    holds : tuple of csr_array (n_facts, n_tokens) float64
        For each part 1 where the fact holds.
    left_out : dict
        Fact -> on how many tokens it holds in the part where it is rarest, of those that hold of
        too few.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    holds: tuple[sparse.csr_array, ...]
    left_out: dict[str, int]

    @classmethod
    def of(cls, parts: Sequence[Truth], *, n_words: int, least: int) -> Facts:
        """Return the facts that hold of enough tokens of every part, and not of all.

        Parameters
        ----------
        parts
            The truth of each; which words are facts is decided in the first.
        n_words
            How many words of each role are facts of their own: the most frequent ones.
        least
            Tokens of which a fact must hold in each part, and tokens of which it must not.
        """
        words = frequent_words(parts[0], n_words)
        found = [dict(_facts(truth, words)) for truth in parts]
        kept, left_out = [], {}
        for name in found[0]:
            holding = [int(part[name][1].sum()) for part in found]
            others = [len(part[name][1]) - n for part, n in zip(found, holding, strict=True)]
            if min(holding + others) >= least:
                kept.append(name)
            else:
                left_out[name] = min(holding)
        holds = tuple(
            sparse.csr_array(
                np.array([part[name][1] for name in kept], dtype=np.float64).reshape(
                    len(kept), len(truth.word)
                )
            )
            for part, truth in zip(found, parts, strict=True)
        )
        return cls(tuple(kept), tuple(found[0][name][0] for name in kept), holds, left_out)


def frequent_words(truth: Truth, n: int) -> list[str]:
    """Return the ``n`` most frequent words of each role, each word once; of equals the first."""
    found: dict[str, None] = {}
    for role in range(len(ROLES)):
        counts = Counter(truth.word[truth.role == role].tolist())
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        found |= dict.fromkeys(ranked[:n])
    return list(found)


def _facts(truth: Truth, words: Sequence[str]) -> Iterator[tuple[str, tuple[str, np.ndarray]]]:
    """Yield the name of each fact, its kind, and of which tokens it holds."""
    for word in words:
        yield f"word {word}", (LEXICAL, truth.word == word)
    for name, of_class in _CLASSES.items():
        yield name, (LEXICAL, np.isin(truth.word, of_class))
    for role, name in enumerate(ROLES):
        if name != "other":
            yield name.replace("_", " "), (ROLE, truth.role == role)
    yield "speaker", (ROLE, truth.speaker)
    for name, holds in _contexts(truth).items():
        yield name, (CONTEXT, holds)


def _contexts(truth: Truth) -> Mapping[str, np.ndarray]:
    topics = (*vocabulary.TOPICS, *vocabulary.REVIEWED)
    return {
        **{f"kind {kind.replace('_', ' ')}": truth.kind == kind for kind in KINDS_OF_DOCUMENTS},
        **{f"topic {topic}": truth.topic == topic for topic in topics},
        "good review": truth.label >= _GOOD,
        "bad review": (truth.label > 0) & (truth.label <= _BAD),
        "praise": truth.polarity > 0,
        "blame": truth.polarity < 0,
        "negated": truth.negated > 0,
        "speech": truth.quoted,
        "first mention": truth.mention == FIRST_MENTION,
        "later mention": truth.mention == LATER_MENTION,
    }
