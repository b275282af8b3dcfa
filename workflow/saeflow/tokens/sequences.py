"""The token sequences of a split, in right-padded batches for a causal model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from saeflow.tokens.flags import excluded
from saeflow.tokens.store import TokenStore

# Tokens in a batch. A constant: the shape of a matrix product can move its last bits.
BATCH_TOKENS = 4096


class Batch(NamedTuple):
    """Some sequences, padded on the right, which a causal model's real tokens do not see.

    Attributes
    ----------
    input_ids : Tensor (batch, seq) int64
        Token ids; 0 at padding.
    real : Tensor (batch, seq) bool
        False at padding.
    ordinary : Tensor (batch, seq) bool
        Real and not special: the rows that an SAE replaces and the tokens that are scored.
    documents : ndarray (batch, seq) int64
        The document of each token; -1 at padding.
    numbers : ndarray (batch,) int64
        Which of the sequences these are.
    tokens : ndarray (batch, seq) int64
        Which token of all sequences each one is; -1 at padding.
    """

    input_ids: torch.Tensor
    real: torch.Tensor
    ordinary: torch.Tensor
    documents: np.ndarray
    numbers: np.ndarray
    tokens: np.ndarray

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch with its tensors on a device."""
        moved = (tensor.to(device) for tensor in self[:3])
        return Batch(*moved, *self[3:])


class Sequences(NamedTuple):
    """Token sequences one after the other.

    Attributes
    ----------
    token_ids, documents : ndarray (n_tokens,)
        Token ids, and the document of each token.
    special : ndarray (n_tokens,) bool
        Tokens that the special-token policy excludes.
    offsets : ndarray (n_sequences + 1,)
        Sequence i holds tokens ``offsets[i]`` to ``offsets[i + 1]``.
    """

    token_ids: np.ndarray
    documents: np.ndarray
    special: np.ndarray
    offsets: np.ndarray

    @property
    def scored(self) -> np.ndarray:
        """The numbers of the ordinary tokens that follow another in their sequence, rising."""
        wanted = ~self.special
        wanted[self.offsets[:-1]] = False
        return np.flatnonzero(wanted)

    def batches(self, batch_tokens: int = BATCH_TOKENS) -> Iterator[Batch]:
        """Yield batches of at most ``batch_tokens``, the longest sequences first."""
        lengths = np.diff(self.offsets)
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            n = max(1, batch_tokens // max(1, int(lengths[order[start]])))
            yield self.take(order[start : start + n])
            start += n

    def take(self, chosen: np.ndarray) -> Batch:
        """Return a batch of the sequences with these numbers."""
        longest = int(np.diff(self.offsets)[chosen].max())
        shape = (len(chosen), longest)
        ids = np.zeros(shape, dtype=np.int64)
        documents, tokens = (np.full(shape, -1, dtype=np.int64) for _ in range(2))
        ordinary = np.zeros(shape, dtype=bool)
        for row, sequence in enumerate(chosen):
            own = slice(self.offsets[sequence], self.offsets[sequence + 1])
            n = own.stop - own.start
            ids[row, :n] = self.token_ids[own]
            documents[row, :n] = self.documents[own]
            ordinary[row, :n] = ~self.special[own]
            tokens[row, :n] = np.arange(own.start, own.stop)
        masks = torch.from_numpy(tokens >= 0), torch.from_numpy(ordinary)
        return Batch(torch.from_numpy(ids), *masks, documents, chosen, tokens)

    def beginnings(self, length: int) -> Sequences:
        """Return the same sequences without what comes after their first ``length`` tokens."""
        lengths = np.diff(self.offsets)
        kept = np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], lengths) < length
        offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, length))])
        return Sequences(*(column[kept] for column in self[:3]), offsets)

    def first(self, n_tokens: int) -> Sequences:
        """Return the first sequences, until they have ``n_tokens``; all if all have fewer."""
        n = 1 + int(np.searchsorted(self.offsets[1:], n_tokens))
        offsets = self.offsets[: n + 1]
        return Sequences(*(column[: offsets[-1]] for column in self[:3]), offsets)


def sequences_of(store: TokenStore, split: str) -> Sequences:
    """Return the sequences of a split of a token store."""
    first, end = store.token_range(split)
    start, stop = store.sequence_range(split)
    return Sequences(
        token_ids=store.read("token_id", first, end),
        documents=store.read("document", first, end),
        special=excluded(store.read("flags", first, end)),
        offsets=store.read("sequence_offsets", start, stop + 1) - first,
    )
