"""The states of labelled texts: a model's activations at a hook, as the measure ``states`` wrote.

Whatever is made of these rows token by token, codes or reconstructions, is pooled into one row per
text by the same rules. Read `open_states`; nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy.sparse import csr_matrix

from saeflow.errors import DataError
from saeflow.files import read_json
from saeflow.work import bulk_of

STATES, ROWS = "states.npy", "rows.parquet"
LAST, MEAN, MAX, CONCEPT = POOLINGS = ("last", "mean", "max", "concept")
"""What stands for a text: its last ordinary token; mean or maximum over the tokens of the raw text,
without the template; the mean over the tokens of the concept."""

Matrix = TypeVar("Matrix", np.ndarray, csr_matrix)

_PART_ROWS = 1 << 14


class States:
    """Activations at a hook, token by token.

    Parameters
    ----------
    record
        Of the measure ``states``.

    Attributes
    ----------
    x : ndarray (n_rows, d_in) float32
        The kept tokens, text by text in their order, mapped from the file.
    examples : ndarray (n_rows,) int64
        The number of each row's text among the labelled ones.
    positions : ndarray (n_rows,) int64
        The place of each row's token in what the model read.
    last, in_text, in_concept : ndarray (n_rows,) bool
        Whether it is the text's last ordinary token; of the raw text; of the concept.
    n_examples : int
        Number of texts; each has a last row.
    facts : dict
        The record.
    """

    def __init__(self, record: Path) -> None:
        import pyarrow.parquet as pq

        self.facts = read_json(record)
        self._record, bulk = record, bulk_of(record)
        self.x = np.load(bulk / STATES, mmap_mode="r")
        rows = pq.read_table(bulk / ROWS)
        columns = (rows[name].to_numpy() for name in ("example", "position", *_FLAGS))
        self.examples, self.positions, self.last, self.in_text, self.in_concept = columns
        self.n_examples = int(self.facts["n_examples"])

    @property
    def poolings(self) -> tuple[str, ...]:
        """What the rows allow."""
        return tuple(self.facts["pooling"])

    def has(self, how: str) -> np.ndarray:
        """Return which texts (n_examples,) have a token to be pooled; all have a last one."""
        found = np.zeros(self.n_examples, dtype=bool)
        found[self.examples[self._rows(how)]] = True
        return found

    def pooled(self, how: str) -> np.ndarray:
        """Return the states of texts, (n_examples, d_in) float32; see `pool`."""
        return self.pool(self.x, how)

    def pool(self, values: Matrix, how: str) -> Matrix:
        """Return a row per text of rows of tokens.

        Parameters
        ----------
        values : (n_rows, d)
            Dense or in CSR, a row for each of ``x``.
        how
            One of `POOLINGS`.

        Returns
        -------
        ndarray or csr_matrix (n_examples, d)
            In the kind and dtype of ``values``, which itself is returned where it has nothing but
            last tokens and these are asked for. Zeros where a text has no such token (`has`). Means
            are summed in float64; in a maximum a latent counts as 0 where it is not active.
        """
        rows = self._rows(how)
        if how == LAST:
            return values if len(rows) == values.shape[0] else values[rows]
        groups = _Groups(self.examples[rows], self.n_examples)
        if isinstance(values, np.ndarray):
            return _pool_dense(values, rows, groups, how)
        return _pool_sparse(values[rows].tocsr(), groups, how)

    def _rows(self, how: str) -> np.ndarray:
        """Return the numbers of the rows that count."""
        if how not in (LAST, *self.poolings):  # last tokens are always kept
            raise DataError(
                f"the states were not kept for the pooling '{how}'",
                where=self._record,
                expected=f"one of {', '.join(self.poolings)}",
                got=how,
                remedy="Add it to measures > states > pooling.",
            )
        flags = {LAST: self.last, CONCEPT: self.in_concept}
        return np.flatnonzero(flags.get(how, self.in_text))


_FLAGS = ("last", "in_text", "in_concept")


def open_states(record: Path) -> States:
    """Return the states that a record of the measure ``states`` names."""
    return States(record)


class _Groups:
    """Rows of texts ``examples`` (n,), rising; some of the ``n_examples`` texts may have none."""

    def __init__(self, examples: np.ndarray, n_examples: int) -> None:
        self.n_examples, self.of = n_examples, examples
        self.there, self.starts, self.sizes = np.unique(
            examples, return_index=True, return_counts=True
        )

    def parts(self) -> Iterator[tuple[slice, slice]]:
        """Yield slices of the texts that are there, and of their rows, a few thousand at a time."""
        ends, first = self.starts + self.sizes, 0
        while first < len(self.there):
            last = np.searchsorted(ends, self.starts[first] + _PART_ROWS, side="right")
            last = max(int(last), first + 1)
            yield slice(first, last), slice(int(self.starts[first]), int(ends[last - 1]))
            first = last


def _pool_dense(values: np.ndarray, rows: np.ndarray, groups: _Groups, how: str) -> np.ndarray:
    pooled = np.zeros((groups.n_examples, values.shape[1]), dtype=values.dtype)
    for texts, own in groups.parts():
        part, starts = values[rows[own]], groups.starts[texts] - own.start
        if how == MAX:
            pooled[groups.there[texts]] = np.maximum.reduceat(part, starts)
        else:
            sums = np.add.reduceat(part, starts, dtype=np.float64)
            pooled[groups.there[texts]] = sums / groups.sizes[texts, None]
    return pooled


def _pool_sparse(values: csr_matrix, groups: _Groups, how: str) -> csr_matrix:
    place = np.repeat(np.searchsorted(groups.there, groups.of), np.diff(values.indptr))
    key = place.astype(np.int64) * values.shape[1] + values.indices
    order = np.argsort(key, kind="stable")  # of a text and latent in the order of the tokens
    key, data = key[order], values.data[order]
    shape = (groups.n_examples, values.shape[1])
    if not len(key):
        return csr_matrix(shape, dtype=values.dtype)
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    place, latent = np.divmod(key[starts], values.shape[1])
    if how == MAX:
        pooled = np.maximum.reduceat(data, starts)
        counted = np.diff(np.append(starts, len(key)))
        pooled = np.where(counted < groups.sizes[place], np.maximum(pooled, 0), pooled)
    else:
        pooled = np.add.reduceat(data, starts, dtype=np.float64) / groups.sizes[place]
    found = csr_matrix((pooled.astype(values.dtype), (groups.there[place], latent)), shape=shape)
    found.eliminate_zeros()
    return found
