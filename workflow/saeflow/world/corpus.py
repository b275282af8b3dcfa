"""The corpus: documents of all kinds in fixed shares, from one seed.

Read `generate_documents` first; `prompts` draws questions from the same grammars.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator

from saeflow.world.document import Document
from saeflow.world.indirect_objects import write_indirect_objects
from saeflow.world.inventories import write_inventory
from saeflow.world.reviews import write_review
from saeflow.world.stories import N_CLOZE_SENTENCES, write_story

# Shares of documents, not of words.
SHARES = {
    "story": 0.25,
    "long_story": 0.10,
    "review": 0.30,
    "indirect_object": 0.30,
    "inventory": 0.05,
}


def generate_documents(
    seed: int, n_tokens: int, kinds: Collection[str] = SHARES
) -> Iterator[Document]:
    """Yield documents until they have at least ``n_tokens`` words.

    Parameters
    ----------
    seed
        The same seed gives the same documents, and a larger ``n_tokens`` only adds some.
    n_tokens
        Words wanted; every word is one token.
    kinds
        Of `SHARES`, those wanted.
    """
    rng = random.Random(f"corpus {seed}")
    names = [name for name in SHARES if name in kinds]
    weights = [SHARES[name] for name in names]
    n_written = 0
    while n_written < n_tokens:
        document = _write(rng, rng.choices(names, weights)[0])
        n_written += len(document.words)
        yield document


def _write(rng: random.Random, kind: str) -> Document:
    if kind == "story":
        return write_story(rng).document
    if kind == "long_story":
        return write_story(
            rng, n_sentences=N_CLOZE_SENTENCES, n_people=rng.choice((2, 3)), every_object=True
        ).document
    if kind == "review":
        return write_review(rng)
    if kind == "indirect_object":
        return write_indirect_objects(rng).document
    return write_inventory(rng)
