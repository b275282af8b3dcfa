"""Training batches as pure functions of a seed and a step: nothing to save but the step.

Read `text_batch` first.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

IGNORED = -100  # torch's cross_entropy leaves these targets out
_INDUCTION_LENGTH = 64
_REPEATS = 3
_WORDS_MIN, _WORDS_MAX = 4, 12
_EXCHANGES_MIN, _EXCHANGES_MAX = 2, 6
_BETWEEN_MAX = 3


class Sequences:
    """The sequences of one split, in a new seeded order each epoch.

    Parameters
    ----------
    token_id, offsets : (n_tokens,), (n_sequences + 1,) integers
        Tokens of the whole store, and where each sequence starts.
    first, last : int
        The split's range of sequences, the last one excluded.
    """

    def __init__(
        self, token_id: np.ndarray, offsets: np.ndarray, first: int, last: int, *, seed: int
    ) -> None:
        self.token_id, self.offsets = token_id, np.asarray(offsets)
        self.first, self.n = first, last - first
        self._order_of = lru_cache(maxsize=2)(self._shuffled)
        self._seed = seed

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, epoch]).permutation(self.n)

    def take(self, start: int, count: int) -> list[np.ndarray]:
        """Return sequences ``start`` to ``start + count`` of the endless stream of epochs."""
        taken = []
        for place in range(start, start + count):
            epoch, within = divmod(place, self.n)
            index = self.first + int(self._order_of(epoch)[within])
            a, b = int(self.offsets[index]), int(self.offsets[index + 1])
            taken.append(np.asarray(self.token_id[a:b], dtype=np.int64))
        return taken


def text_batch(
    sequences: Sequences, step: int, batch_sequences: int, pad_id: int
) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of one step, (batch, length) int64 each.

    The target of a position is the next token, `IGNORED` at the end of a sequence.
    """
    rows = sequences.take(step * batch_sequences, batch_sequences)
    length = max(map(len, rows))
    inputs = np.full((len(rows), length), pad_id, dtype=np.int64)
    targets = np.full((len(rows), length), IGNORED, dtype=np.int64)
    for i, row in enumerate(rows):
        inputs[i, : len(row)] = row
        targets[i, : len(row) - 1] = row[1:]
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def induction_batch(
    word_ids: np.ndarray, separator: int, batch_tokens: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return one step of random words, as `text_batch`: rows that repeat runs or alternate pairs.

    Only words that the context decides are targets: the others are noise that makes copying several
    times slower to learn.

    Parameters
    ----------
    word_ids : (n_words,) integers
        Token ids to draw from, without special ones.
    separator : int
        Token between runs.
    batch_tokens, rng
        Tokens in the batch, and their source of randomness.
    """
    n_rows = max(2, batch_tokens // _INDUCTION_LENGTH)
    tokens = np.full((n_rows, _INDUCTION_LENGTH + 1), separator, dtype=np.int64)
    targets = np.full_like(tokens, IGNORED)
    for index in range(n_rows):
        make = _repeats if index % 2 else _exchanges
        filled = 1
        while filled <= _INDUCTION_LENGTH:
            run, decided = make(word_ids, rng)
            length = min(len(run), _INDUCTION_LENGTH + 1 - filled)
            part = slice(filled, filled + length)
            tokens[index, part] = run[:length]
            targets[index, part] = np.where(decided, run, IGNORED)[:length]
            filled += length + 1
    inputs = torch.from_numpy(tokens[:, :-1].copy())
    return inputs, torch.from_numpy(targets[:, 1:].copy())


def _repeats(word_ids: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a run of random words three times over, and which of them copying predicts."""
    n_words = int(rng.integers(_WORDS_MIN, _WORDS_MAX + 1))
    run = np.tile(_draw(word_ids, n_words, rng), _REPEATS)
    # The first word of the second copy has not been seen after the last of the first.
    return run, np.arange(len(run)) > n_words


def _exchanges(word_ids: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return two words, then several times one of them, some others and the other of the two."""
    pair = _draw(word_ids, 2, rng)
    run, decided = list(pair), [False, False]
    for _ in range(int(rng.integers(_EXCHANGES_MIN, _EXCHANGES_MAX + 1))):
        first = int(rng.integers(2))
        between = _draw(word_ids, int(rng.integers(1, _BETWEEN_MAX + 1)), rng)
        run += [pair[first], *between, pair[1 - first]]
        decided += [False] * (len(between) + 1) + [True]
    return np.array(run), np.array(decided)


def _draw(word_ids: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return word_ids[rng.integers(len(word_ids), size=n)]
