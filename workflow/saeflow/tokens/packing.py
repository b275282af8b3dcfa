"""Documents to sequences, as pure functions on arrays of token ids.

Nothing here knows tokenizers, files or splits. Read `pack` and `one_per_sequence`; both take
documents one after the other and give `Packed` blocks, so that memory does not grow with the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from saeflow.errors import DataError

# Tokens joined before rows are cut: large enough for NumPy, small enough for any memory.
_BLOCK_TOKENS = 1 << 20


class Document(NamedTuple):
    """One document: its number in the dataset, and its tokens (n,) uint32, none added."""

    number: int
    token_id: np.ndarray


class Packed(NamedTuple):
    """Some sequences, one after the other; arrays have one entry a token.

    Attributes
    ----------
    token_id : ndarray (n,) uint32
    document : ndarray (n,) uint32
        Number of the document; of an added BOS that of the token after it, of a separator that
        of the token before.
    document_position : ndarray (n,) uint32
        Index in the document's own tokens, for added tokens by the same rule.
    separator : ndarray (n,) bool
        Whether the token was put between documents.
    lengths : ndarray (n_sequences,) int64
    dropped : ndarray (n_sequences,) int64
        Tokens that the sequence's document lost at its end.
    remainder : int
        Tokens of documents that were left when no full sequence could be made.
    """

    token_id: np.ndarray
    document: np.ndarray
    document_position: np.ndarray
    separator: np.ndarray
    lengths: np.ndarray
    dropped: np.ndarray
    remainder: int = 0

    @property
    def position(self) -> np.ndarray:
        """Index of each token in its sequence, (n,) uint16."""
        starts = np.cumsum(self.lengths) - self.lengths
        return (np.arange(len(self.token_id)) - np.repeat(starts, self.lengths)).astype(np.uint16)


class _Stream(NamedTuple):
    """Tokens with what goes with them, before they are cut."""

    token_id: np.ndarray
    document: np.ndarray
    document_position: np.ndarray
    separator: np.ndarray

    def part(self, where: slice | np.ndarray) -> _Stream:
        return _Stream(*(column[where] for column in self))


def pack(
    documents: Iterable[Document],
    *,
    context_length: int,
    bos_id: int | None,
    separator: Sequence[int],
) -> Iterator[Packed]:
    """Join documents, each followed by the separator, and cut the stream into full sequences.

    Nothing is lost but the remainder of the last block, which is counted.

    Parameters
    ----------
    documents
        In their final order.
    context_length
        Tokens in each sequence, BOS included.
    bos_id
        Token that begins each sequence; None for none.
    separator
        Tokens put after each document.

    Notes
    -----
    Where the next token is a BOS already (for tokenizers whose separator is their BOS), it begins
    the sequence and none is added.
    """
    rest = _stream([], separator)
    for block in _blocks(documents):
        rest = _Stream(*map(np.concatenate, zip(rest, _stream(block, separator), strict=True)))
        source, lengths, end = _rows(rest.token_id, context_length, bos_id)
        yield _gathered(rest, source, lengths, bos_id)
        rest = rest.part(slice(end, None))
    none = np.empty(0, np.int64)
    yield _gathered(rest, none, none, None)._replace(remainder=int((~rest.separator).sum()))


def one_per_sequence(
    documents: Iterable[Document], *, context_length: int, bos_id: int | None
) -> Iterator[Packed]:
    """Make one sequence of each document, cut off at the context length; all as in `pack`.

    The tokens beyond are dropped and counted.
    """
    added = int(bos_id is not None)
    for block in _blocks(documents):
        stream = _stream(block, ())
        own = np.array([len(d.token_id) for d in block])
        starts = np.cumsum(own) - own
        lengths = np.minimum(own, context_length - added) + added
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        source = np.repeat(starts - added, lengths) + within
        if added:
            source[within == 0] = -1 - starts
        dropped = own + added - lengths
        yield _gathered(stream, source, lengths, bos_id)._replace(dropped=dropped)


def limited(blocks: Iterable[Packed], n_tokens: int | None) -> Iterator[Packed]:
    """Yield sequences until the next one would make more than ``n_tokens`` tokens."""
    left = n_tokens
    for block in blocks:
        ends = np.cumsum(block.lengths)
        if left is None or not len(ends) or ends[-1] <= left:
            yield block
            left = None if left is None else left - int(block.lengths.sum())
            continue
        n = int(np.searchsorted(ends, left, side="right"))
        end = int(ends[n - 1]) if n else 0
        columns = [column[:end] for column in block[:4]]
        yield Packed(*columns, lengths=block.lengths[:n], dropped=block.dropped[:n])
        return


def check_bos(packed: Packed, bos_id: int | None) -> None:
    """Raise a `DataError` where two BOS stand next to each other in a sequence."""
    if bos_id is None or not len(packed.token_id):
        return
    is_bos = packed.token_id == bos_id
    double = is_bos[1:] & is_bos[:-1]
    double[np.cumsum(packed.lengths)[:-1] - 1] = False  # the two are of different sequences
    if double.any():
        place = int(np.argmax(double)) + 1
        raise DataError(
            "two BOS tokens stand next to each other",
            where=f"document {packed.document[place]}, token {packed.document_position[place]}",
            expected="one, from the packing or from the text",
            remedy="Remove the BOS text from the documents, or set the packing's bos to false"
            " and its separator to none.",
        )


def _blocks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    block: list[Document] = []
    n = 0
    for document in documents:
        block.append(document)
        n += len(document.token_id)
        if n >= _BLOCK_TOKENS:
            yield block
            block, n = [], 0
    if block:
        yield block


def _stream(documents: Sequence[Document], separator: Sequence[int]) -> _Stream:
    """Join documents, each followed by the separator."""
    between = np.array(separator, dtype=np.uint32)
    own = np.array([len(d.token_id) for d in documents], dtype=np.int64)
    full = own + len(between)
    parts = [part for d in documents for part in (d.token_id, between)]
    token_id = np.concatenate([np.empty(0, np.uint32), *parts]).astype(np.uint32, copy=False)
    numbers = np.array([d.number for d in documents], dtype=np.uint32)
    within = np.arange(full.sum()) - np.repeat(np.cumsum(full) - full, full)
    last = np.repeat(own - 1, full)
    return _Stream(
        token_id,
        np.repeat(numbers, full),
        np.minimum(within, last).astype(np.uint32),
        within > last,
    )


def _rows(
    token_id: np.ndarray, context_length: int, bos_id: int | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the source of each token of the full rows, the rows' lengths, and what was used.

    A source s >= 0 is a place in the stream; s < 0 is a BOS to add before place -1 - s.
    """
    starts, n = [], len(token_id)
    is_bos = np.zeros(n, bool) if bos_id is None else token_id == bos_id
    start = 0
    while start < n:
        end = start + context_length - (bos_id is not None and not is_bos[start])
        if end > n:
            break
        starts.append(start)
        start = end
    first = np.array(starts, dtype=np.int64)
    lengths = np.full(len(first), context_length, dtype=np.int64)
    source = first[:, None] + np.arange(context_length)
    if bos_id is not None and len(first):
        added = ~is_bos[first]
        source[added] -= 1
        source[added, 0] = -1 - first[added]
    return source.ravel(), lengths, start


def _gathered(
    stream: _Stream, source: np.ndarray, lengths: np.ndarray, bos_id: int | None
) -> Packed:
    added = source < 0
    columns = stream.part(np.where(added, -1 - source, source))
    if added.any():
        columns.token_id[added] = bos_id
        columns.separator[added] = False
    return Packed(*columns, lengths=lengths, dropped=np.zeros_like(lengths))
