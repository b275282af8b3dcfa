"""N-gram models with Witten-Bell smoothing: what counting alone can predict.

P(w | h) = (c(h w) + t(h) P(w | h')) / (c(h) + t(h)), where c counts, t(h) is the number of
different words seen after h, and h' is h without its first word; below the unigram lies the
uniform distribution. No parameter has to be tuned. Read `NGrams` first.

Source: I. H. Witten and T. C. Bell, The zero-frequency problem, IEEE Trans. Inf. Theory 37 (1991),
in the interpolated form of Chen and Goodman (1998).
"""

from __future__ import annotations

import numpy as np


class _Counts:
    """Counts of integer keys."""

    def __init__(self, keys: np.ndarray) -> None:
        self.keys, self.counts = np.unique(keys, return_counts=True)

    def of(self, keys: np.ndarray) -> np.ndarray:
        """Return how often each key was counted; 0 for an unknown one."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.counts[places], 0)


class NGrams:
    """Smoothed models of every order up to a highest one: 3 for trigrams.

    Of training tokens (n_tokens,), sequences one after the other, and where these start, offsets
    (n_sequences + 1,): no n-gram crosses a start.
    """

    def __init__(
        self, tokens: np.ndarray, offsets: np.ndarray, *, vocab_size: int, highest: int = 3
    ) -> None:
        self.vocab_size, self.highest = vocab_size, highest
        tokens, position = np.asarray(tokens, dtype=np.int64), _positions(offsets)
        self._ngrams: list[_Counts] = []
        self._contexts: list[_Counts] = []
        self._continuations: list[_Counts] = []
        for order in range(1, highest + 1):
            keys = self._keys(tokens, order)[position >= order - 1]
            self._ngrams.append(_Counts(keys))
            self._contexts.append(_Counts(keys // vocab_size))
            self._continuations.append(_Counts(self._ngrams[-1].keys // vocab_size))

    def log_probabilities(self, tokens: np.ndarray, offsets: np.ndarray) -> dict[int, np.ndarray]:
        """Return ln P (n_tokens,) float64, in nats, of each token under each order.

        The first tokens of a sequence have shorter contexts.
        """
        tokens, position = np.asarray(tokens, dtype=np.int64), _positions(offsets)
        probability = np.full(len(tokens), 1 / self.vocab_size)
        result = {}
        for order in range(1, self.highest + 1):
            keys = self._keys(tokens, order)
            contexts = keys // self.vocab_size
            n_context = self._contexts[order - 1].of(contexts)
            n_types = self._continuations[order - 1].of(contexts)
            n_both = self._ngrams[order - 1].of(keys)
            usable = (position >= order - 1) & (n_context > 0)
            with np.errstate(invalid="ignore"):
                smoothed = (n_both + n_types * probability) / (n_context + n_types)
            probability = np.where(usable, smoothed, probability)
            result[order] = np.log(probability)
        return result

    def _keys(self, tokens: np.ndarray, order: int) -> np.ndarray:
        """Return one integer per position for the n-gram that ends there."""
        keys = np.zeros(len(tokens), dtype=np.int64)
        for back in range(order - 1, -1, -1):
            shifted = np.zeros_like(keys)
            shifted[back:] = tokens[: len(tokens) - back]
            keys = keys * self.vocab_size + shifted
        return keys


def _positions(offsets: np.ndarray) -> np.ndarray:
    """Return the index of each token in its sequence."""
    offsets = np.asarray(offsets, dtype=np.int64)
    n_tokens = int(offsets[-1] - offsets[0])
    return np.arange(n_tokens) - np.repeat(offsets[:-1] - offsets[0], np.diff(offsets))
