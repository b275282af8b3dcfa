"""The latents of an SAE token by token, as the measure ``codes`` wrote them.

Read `open_codes`; nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from saeflow.files import read_json
from saeflow.work import bulk_of

if TYPE_CHECKING:
    import pandas as pd

VALUES, INDEX, OFFSETS, ROWS = "values.npy", "index.npy", "offsets.npy", "rows.npy"
LATENTS, DOCUMENTS = "latents.parquet", "documents.parquet"
LIVE, DEAD, RARE, DUPLICATE = STATUSES = ("live", "dead", "rare", "duplicate")
"""What a latent is: compared with others; never active on these tokens; active on few of them; or
of nearly the direction of one that is active on more."""

_PART_ENTRIES = 1 << 16  # read at once: a core's cache has room for what is made of them


class StoredCodes:
    """The latents of an SAE on some tokens, mapped from the files that a record of ``codes`` names.

    Attributes
    ----------
    values : ndarray (n_entries,) float32
        The latents that are not zero, token after token.
    index : ndarray (n_entries,) uint16 or uint32
        Which latents they are, rising within a token.
    offsets : ndarray (n_tokens + 1,) int64
        Token t has the entries ``offsets[t]`` to ``offsets[t + 1]``.
    rows : ndarray (n_tokens,) int64
        The tokens' rows in the stores of activations and of tokens, rising.
    facts : dict
        The record.
    """

    def __init__(self, record: Path) -> None:
        self.facts, self._bulk = read_json(record), bulk_of(record)
        self.values, self.index, self.offsets, self.rows = (
            np.load(self._bulk / name, mmap_mode="r") for name in (VALUES, INDEX, OFFSETS, ROWS)
        )

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return len(self.rows)

    @property
    def d_sae(self) -> int:
        """Number of latents, live or not."""
        return self.facts["d_sae"]

    @cached_property
    def latents(self) -> pd.DataFrame:
        """A row per latent, (d_sae,): see `saeflow.measures.codes.measure.measure_codes`."""
        return self._table(LATENTS)

    @cached_property
    def documents(self) -> pd.DataFrame:
        """A row per document in the order of the tokens: document, n_tokens, active."""
        return self._table(DOCUMENTS)

    @cached_property
    def live(self) -> np.ndarray:
        """The latents that are compared, (n_live,) int64, rising."""
        return np.flatnonzero(self.latents["status"] == LIVE)

    def matrix(
        self, latents: np.ndarray | None = None, tokens: slice | np.ndarray = slice(None)
    ) -> csr_array:
        """Return latents on tokens as a matrix held in memory, (n_tokens, n) float32.

        Parameters
        ----------
        latents : (n,)
            Which, one a column, each once; all by default.
        tokens : (n_tokens,)
            Which, one a row: consecutive ones, or their numbers; all by default.
        """
        chosen = np.arange(self.d_sae) if latents is None else np.asarray(latents, np.int64)
        column = np.full(self.d_sae, -1, dtype=np.int32)
        column[chosen] = np.arange(len(chosen), dtype=np.int32)
        values, index = [np.zeros(0, np.float32)], [np.zeros(0, np.int32)]
        counts = [np.zeros(1, np.int64)]
        for entries, ends in self._parts(tokens):
            own = column[self.index[entries]]
            kept = np.flatnonzero(own >= 0)
            values.append(self.values[entries][kept])
            index.append(own[kept])
            counts.append(np.diff(np.searchsorted(kept, ends)))
        offsets = np.cumsum(np.concatenate(counts))
        if offsets[-1] <= np.iinfo(np.int32).max:  # else SciPy makes all of them wide
            offsets = offsets.astype(np.int32)
        parts = np.concatenate(values), np.concatenate(index), offsets
        return csr_array(parts, shape=(len(offsets) - 1, len(chosen)))

    def groups(self, n: int) -> np.ndarray:
        """Return the borders of about ``n`` groups of whole documents with about as many tokens.

        They are the first token of each group, and the end, (n_groups + 1,) int64; fewer where
        there are fewer documents.
        """
        ends = np.cumsum(self.documents["n_tokens"].to_numpy())
        aims = np.arange(1, n) * (self.n_tokens / n)
        nearest = np.abs(ends[:, None] - aims).argmin(axis=0)
        return np.unique(np.concatenate([[0], ends[nearest], [self.n_tokens]]))

    def _parts(self, tokens: slice | np.ndarray) -> Iterator[tuple[slice | np.ndarray, np.ndarray]]:
        """Yield entries of some tokens, a limited number, and where in them each token ends."""
        if isinstance(tokens, np.ndarray):
            starts, counts = self.offsets[tokens], self.offsets[tokens + 1] - self.offsets[tokens]
            ends = np.concatenate([[0], np.cumsum(counts)])
            yield np.arange(ends[-1]) + np.repeat(starts - ends[:-1], counts), ends
            return
        first, end, _ = tokens.indices(self.n_tokens)
        while first < end:
            limit = self.offsets[first] + _PART_ENTRIES
            stop = int(np.searchsorted(self.offsets, limit, side="right")) - 1
            stop = min(max(stop, first + 1), end)
            ends = self.offsets[first : stop + 1]
            yield slice(int(ends[0]), int(ends[-1])), ends - ends[0]
            first = stop

    def _table(self, name: str) -> pd.DataFrame:
        import pyarrow.parquet as pq

        return pq.read_table(self._bulk / name).to_pandas()


def open_codes(record: Path) -> StoredCodes:
    """Return the latents that a record of the measure ``codes`` names."""
    return StoredCodes(record)
