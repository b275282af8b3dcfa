"""Which split a document belongs to: a function of its text alone.

So a duplicate never lies in two splits, and neither order, size nor source of a dataset moves a
document from one split to another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from saeflow.errors import ConfigError

SPLITS = ("train", "validation", "test")
_SCALE = 1 << 64


def splits_of(texts: Iterable[str], fractions: Mapping[str, float], seed: int) -> list[str]:
    """Return the split of each document: "train", "validation" or "test".

    Parameters
    ----------
    texts
        The documents. Differences in white space alone do not count.
    fractions
        Share of the documents in each split, between 0 and 1, summing to 1; a split that is not
        named has none.
    seed
        Another seed makes another, independent split.
    """
    bounds = _bounds(fractions)
    key = seed.to_bytes(8, "little")
    return [_split(text, bounds, key) for text in texts]


def _bounds(fractions: Mapping[str, float]) -> list[tuple[int, str]]:
    """Return the splits with documents and the hash below which each ends."""
    unknown = set(fractions) - set(SPLITS)
    total = sum(fractions.values())
    if unknown or abs(total - 1) > 1e-9 or min(fractions.values()) < 0:
        raise ConfigError(
            "the shares of the splits do not make a whole",
            where="splits",
            expected=f"shares of {', '.join(SPLITS)}, none negative, that sum to 1",
            got=dict(fractions),
        )
    bounds, end = [], 0.0
    for split in SPLITS:
        if fractions.get(split, 0) > 0:
            end += fractions[split]
            bounds.append((round(end * _SCALE), split))
    bounds[-1] = (_SCALE, bounds[-1][1])  # rounding must leave no document without a split
    return bounds


def _split(text: str, bounds: list[tuple[int, str]], key: bytes) -> str:
    content = " ".join(text.split()).encode("utf-8", "surrogatepass")
    value = int.from_bytes(blake2b(content, digest_size=8, key=key).digest(), "little")
    return next(split for end, split in bounds if value < end)
