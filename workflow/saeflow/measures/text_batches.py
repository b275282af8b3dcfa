"""Texts of unlike lengths in batches, padded on the right. Read `windows`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from saeflow.measures.text_tokens import TextTokens

# Texts are sorted by length within so many batches' worth, to pad little.
_WINDOW_BATCHES = 16


class Batch(NamedTuple):
    """Texts for one forward pass of a causal model, which needs no mask for padding on the right.

    Attributes
    ----------
    ids : Tensor (batch, longest) int64
    tokens : ndarray (batch * longest,) int64
        The number of each token among all texts' tokens; -1 at the padding.
    """

    ids: torch.Tensor
    tokens: np.ndarray

    @property
    def n_tokens(self) -> int:
        """The number of tokens that are not padding."""
        return int((self.tokens >= 0).sum())


class Window(NamedTuple):
    """Texts that follow each other, and how they are put into batches.

    Attributes
    ----------
    start, end : int
        Their tokens among all.
    batches : list of ndarray
        Numbers of the texts of each batch; together all of the window, once.
    """

    start: int
    end: int
    batches: list[np.ndarray]


def windows(tokens: TextTokens, batch_tokens: int) -> Iterator[Window]:
    """Yield the batches of all texts; they depend on nothing but their lengths.

    Parameters
    ----------
    tokens
        The texts.
    batch_tokens
        Tokens of a batch, with its padding, at most; a longer text is a batch of its own.
    """
    lengths, offsets, first = tokens.lengths, tokens.offsets, 0
    while first < len(lengths):
        most = offsets[first] + _WINDOW_BATCHES * batch_tokens
        end = max(int(np.searchsorted(offsets, most, side="right")) - 1, first + 1)
        texts = np.arange(first, end)
        yield Window(int(offsets[first]), int(offsets[end]), batches(texts, lengths, batch_tokens))
        first = end


def batches(texts: np.ndarray, lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Return some texts, by their numbers, in batches of like length, the longest first."""
    order, found = texts[np.argsort(-lengths[texts], kind="stable")], []
    while len(order):
        size = max(1, batch_tokens // int(lengths[order[0]]))
        found.append(order[:size])
        order = order[size:]
    return found


def batch_of(tokens: TextTokens, texts: np.ndarray) -> Batch:
    """Return some texts, by their numbers, as a batch."""
    starts, lengths = tokens.offsets[texts][:, None], tokens.lengths[texts][:, None]
    within = np.arange(lengths.max())
    numbers = np.where(within < lengths, starts + within, -1)
    ids = np.where(numbers >= 0, tokens.ids[numbers], 0).astype(np.int64)
    return Batch(torch.from_numpy(ids), numbers.ravel())
