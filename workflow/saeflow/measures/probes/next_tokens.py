"""What a probe is asked on any text: which of the most frequent tokens comes next.

`questions` chooses tokens and rows to fit a probe to, `asked` the rows on which it is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from saeflow.errors import DataError
from saeflow.tokens.flags import excluded

if TYPE_CHECKING:
    from saeflow.activations.reader import Store

FITTED, TESTED = "train", "test"

# Rows in a batch. A constant: the shape of a matrix product can move its last bits.
BATCH_ROWS = 4096

# A probe is fitted to rows among the first of the split, so many for each wanted one: a split of
# a hundred million rows, which may have to be computed, is not gone through for ten thousand.
SPAN = 50

_LEAVE_OUT = "Give the dataset a larger {} share under `splits`, or set `measures > probes: null`."


class Asked(NamedTuple):
    """Rows of a store and what follows them.

    Attributes
    ----------
    activations : array (n_rows, d_in)
        What an SAE reads; gives NumPy rows for an index array.
    target : array (n_rows, d_out)
        What it is to give back: the same, but for a transcoder.
    rows : ndarray (n,) int64
        Which of them are asked about, rising.
    documents : ndarray (n,)
        The document of each.
    labels : ndarray (n,) int64
        Which of the tokens follows, by its number in ``tokens``.
    tokens : ndarray (n_classes,)
        The ids of these tokens.
    """

    activations: Any
    target: Any
    rows: np.ndarray
    documents: np.ndarray
    labels: np.ndarray
    tokens: np.ndarray

    def batches(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield the numbers of some rows, what is read there and its target, (n, d) float32."""
        for start in range(0, len(self.rows), BATCH_ROWS):
            part = slice(start, start + BATCH_ROWS)
            x = np.asarray(self.activations[self.rows[part]], dtype=np.float32)
            if self.target is self.activations:
                yield part, x, x
            else:
                yield part, x, np.asarray(self.target[self.rows[part]], dtype=np.float32)


def questions(store: Store, target: Store, *, classes: int, rows: int) -> Asked:
    """Return rows of the training split to fit a probe to.

    Parameters
    ----------
    store, target
        Of what is read and of what is to be given back, with the same rows.
    classes
        How many of the tokens that most often follow are told apart.
    rows
        How many rows to take, evenly spread over those that one of these tokens follows; all
        there are, if fewer.

    Raises
    ------
    DataError
        If there are no two tokens to tell apart.
    """
    first, end = store.ranges(FITTED)
    numbers, following = _followed(store, first, min(end, first + SPAN * rows))
    tokens = most_frequent(following, classes)
    labels = _labels(following, tokens)
    known = np.flatnonzero(labels >= 0)
    n = min(rows, len(known))
    chosen = known[np.arange(n) * len(known) // max(1, n)]
    present = np.unique(labels[chosen])  # a rare one may fall between the chosen rows
    if len(present) < 2:
        raise DataError(
            f"the {FITTED} split has no two tokens that a probe could tell apart",
            where=store.path,
            got=f"{n} rows to fit it to",
            remedy=_LEAVE_OUT.format(FITTED),
        )
    labels = np.searchsorted(present, labels[chosen])
    return _of(store, target, numbers[chosen], labels, tokens[present])


def asked(store: Store, target: Store, tokens: np.ndarray) -> Asked:
    """Return all rows of the test split that one of ``tokens`` (n_classes,) follows."""
    numbers, following = _followed(store, *store.ranges(TESTED))
    labels = _labels(following, tokens)
    known = labels >= 0
    if not known.any():
        raise DataError(
            f"the {TESTED} split has none of the tokens that a probe was fitted to",
            where=store.path,
            remedy=_LEAVE_OUT.format(TESTED),
        )
    return _of(store, target, numbers[known], labels[known], tokens)


def most_frequent(ids: np.ndarray, n: int) -> np.ndarray:
    """Return the ``n`` most frequent ids, the most frequent first; of equals the least."""
    values, counts = np.unique(ids, return_counts=True)
    return values[np.lexsort((values, -counts))[:n]]


def _of(
    store: Store, target: Store, rows: np.ndarray, labels: np.ndarray, tokens: np.ndarray
) -> Asked:
    first, end = int(rows[0]), int(rows[-1]) + 1
    documents = store.rows.read("document", first, end)[rows - first]
    return Asked(store.activations, target.activations, rows, documents, labels, tokens)


def _followed(store: Store, first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ordinary rows that an ordinary token of their sequence and document follows.

    Returns
    -------
    rows : ndarray (n,) int64
    following : ndarray (n,)
        The id of the token that follows.
    """
    names = ("flags", "position", "document", "token_id")
    flags, position, document, token_id = (store.rows.read(n, first, end) for n in names)
    ordinary = ~excluded(flags)
    follows = ordinary[:-1] & ordinary[1:] & (document[:-1] == document[1:])
    follows &= position[1:] > 0  # else the next row begins a sequence
    where = np.flatnonzero(follows)
    return first + where, token_id[1:][where]


def _labels(ids: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Return the place of each id (n,) in ``tokens``, or -1."""
    if not len(tokens):
        return np.full(len(ids), -1)
    order = np.argsort(tokens)
    place = np.minimum(np.searchsorted(tokens, ids, sorter=order), len(tokens) - 1)
    return np.where(tokens[order[place]] == ids, order[place], -1)
