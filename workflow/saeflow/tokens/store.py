"""The token store: one Zarr group of columns over tokens, and the sequences that they form.

Made by `saeflow.tokens.tokenize`; sequences vary in length and no padding is stored. Read
`open_tokens` first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from saeflow.errors import DataError, StoreError
from saeflow.files import read_json
from saeflow.tokens.columns import TokenColumns
from saeflow.work import bulk_of

FORMAT = "saeflow-tokens-1"
_BLOCK_VALUES = 1 << 17


class TokenStore(TokenColumns):
    """The tokens of one packing of a dataset; ``record`` is what its ``tokens.json`` says."""

    def __init__(self, record: Path) -> None:
        self.record: dict[str, Any] = read_json(record)
        bulk = bulk_of(record)
        if self.record.get("format") != FORMAT:
            raise StoreError(
                "this token store is of another format",
                where=record,
                expected=FORMAT,
                got=self.record.get("format"),
                remedy="Use the version of saeflow that wrote it, or make it anew.",
            )
        super().__init__(bulk)
        self._blocks: dict[str, tuple[int, np.ndarray]] = {}

    @property
    def n_tokens(self) -> int:
        """Number of tokens, of all splits."""
        return self.length("token_id")

    @property
    def n_sequences(self) -> int:
        """Number of sequences, of all splits."""
        return self.length("sequence_offsets") - 1

    def part(self, name: str, start: int, end: int) -> np.ndarray:
        """Return values ``start`` to ``end`` of a column, for reading it front to back.

        A block that holds them stays until another is asked for, so that many small parts cost
        little, and memory does not grow with the column.
        """
        first, values = self._blocks.get(name, (0, np.empty(0)))
        if not first <= start <= end <= first + len(values):
            first, values = start, self.read(name, start, max(end, start + _BLOCK_VALUES))
            self._blocks[name] = first, values
        return values[start - first : end - first]

    def sequence(self, index: int) -> np.ndarray:
        """Return the token ids of one sequence, (length,) uint32."""
        if not 0 <= index < self.n_sequences:
            raise IndexError(f"sequence {index} of {self.n_sequences}")
        start, end = self.sequence_offsets[index : index + 2]
        return self.read("token_id", int(start), int(end))

    def sequence_range(self, split: str) -> tuple[int, int]:
        """Return the first sequence of a split and the one after its last."""
        return split_range(self.record, "sequence_ranges", split)

    def token_range(self, split: str) -> tuple[int, int]:
        """Return the first token of a split and the one after its last."""
        return split_range(self.record, "token_ranges", split)


def open_tokens(record: Path) -> TokenStore:
    """Open the token store that a ``tokens.json`` names.

    Raises
    ------
    DamagedError
        If the store is unfinished or one of its files is missing or cut short.
    """
    return TokenStore(Path(record))


def split_range(record: dict[str, Any], kind: str, split: str) -> tuple[int, int]:
    """Return the range of a split in a record's ``kind``; an unknown split is a `DataError`."""
    if split not in record[kind]:
        raise DataError(
            "there is no such split",
            where=record.get("bulk"),
            expected=" | ".join(record[kind]),
            got=split,
        )
    start, end = record[kind][split]
    return start, end
