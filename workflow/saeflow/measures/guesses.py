"""Guesses at a prompt's last word without a model: the baselines of the prompt sets."""

from __future__ import annotations

from collections.abc import Sequence


def most_frequent(words: Sequence[str], candidates: Sequence[str]) -> str:
    """Return the candidate that occurs most often; of equals, the one that occurs last."""
    last = {word: place for place, word in enumerate(words)}
    return max(candidates, key=lambda word: (words.count(word), last.get(word, -1)))


def copied(words: Sequence[str], candidates: Sequence[str] | None = None) -> str | None:
    """Return the word that followed the latest earlier occurrence of the last word.

    Parameters
    ----------
    words
        The prompt.
    candidates
        If given, occurrences that are followed by another word do not count.

    Returns
    -------
    str or None
        None if there is no such occurrence.
    """
    for place in range(len(words) - 2, -1, -1):
        follower = words[place + 1]
        if words[place] == words[-1] and (candidates is None or follower in candidates):
            return follower
    return None


def first_named(words: Sequence[str], candidates: Sequence[str]) -> str:
    """Return the candidate that occurs first."""
    return min(candidates, key=words.index)
