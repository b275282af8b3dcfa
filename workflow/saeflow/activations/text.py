"""From rows of activations back to their text: token, document, position, flags, context.

Loaded by name, so that no SAE depends on how a row is shown. Read `RowTexts`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from saeflow.tokens import flags
from saeflow.tokens.flags import excluded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from saeflow.tokens.columns import TokenColumns

_FLAG_NAMES = {"bos": flags.BOS, "eos": flags.EOS, "pad": flags.PAD, "special": flags.SPECIAL}


class RowFacts(NamedTuple):
    """What is known of a row: its number in the store, and what its columns say.

    Columns are those of `saeflow.tokens.columns.TokenColumns`, but flags by name, of "bos", "eos",
    "pad", "special", and whether SAEs and measures leave the row out.
    """

    row: int
    token_id: int
    document: int
    position: int
    document_position: int
    flags: tuple[str, ...]
    excluded: bool


class Context(NamedTuple):
    """The text of a row's token and around it, within its sequence."""

    before: str
    token: str
    after: str


class RowTexts:
    """Maps rows to tokens, documents and text.

    Parameters
    ----------
    rows
        The row table of a store (`Store.rows`), or a token store.
    tokenizer
        The one that made the tokens; needed for `context` only.
    """

    def __init__(
        self, rows: TokenColumns, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> None:
        self._rows, self._tokenizer = rows, tokenizer
        self.n_rows = rows.length("token_id")

    def facts(self, row: int) -> RowFacts:
        """Return what is known of a row."""
        row = self._checked(row)
        bits = int(self._rows["flags"][row])
        names = ("token_id", "document", "position", "document_position")
        return RowFacts(
            row,
            *(int(self._rows[name][row]) for name in names),
            tuple(name for name, bit in _FLAG_NAMES.items() if bits & bit),
            bool(excluded(np.array([bits], np.uint8))[0]),
        )

    def sequence(self, row: int) -> range:
        """Return the rows of the sequence that holds a row."""
        offsets = self._rows["sequence_offsets"]
        index = int(np.searchsorted(offsets, self._checked(row), side="right"))
        return range(int(offsets[index - 1]), int(offsets[index]))

    @cached_property
    def doc_offsets(self) -> np.ndarray:
        """First row of each document in the order of the rows, and the end, (n + 1,) int64."""
        document = self._rows["document"]
        borders = np.flatnonzero(document[1:] != document[:-1]) + 1
        return np.concatenate([[0], borders, [len(document)]]).astype(np.int64)

    def document(self, number: int) -> range:
        """Return the rows of a document by its number in the dataset; none if it has none."""
        (places,) = np.nonzero(self._rows["document"][self.doc_offsets[:-1]] == number)
        if not len(places):
            return range(0)
        return range(*map(int, self.doc_offsets[places[0] : places[0] + 2]))

    def context(self, row: int, before: int = 10, after: int = 5) -> Context:
        """Return the text of ``before`` and ``after`` tokens around a row, within its sequence.

        Notes
        -----
        A tokenizer joins tokens as it likes, so each part is what decoding adds to the text
        before it; where decoding changes that text, the part is decoded alone.
        """
        row = self._checked(row)
        sequence = self.sequence(row)
        start, end = max(sequence.start, row - before), min(sequence.stop, row + 1 + after)
        ids = self._rows["token_id"][start:end].tolist()
        cuts = (row - start, row + 1 - start, len(ids))
        texts = [self._decode(ids[:cut]) for cut in cuts]
        parts = [texts[0]]
        for earlier, later, a, b in zip(texts, texts[1:], cuts, cuts[1:], strict=False):
            grown = later.startswith(earlier)
            parts.append(later[len(earlier) :] if grown else self._decode(ids[a:b]))
        return Context(*parts)

    def _decode(self, ids: list[int]) -> str:
        if self._tokenizer is None:
            raise TypeError("give RowTexts a tokenizer to see text")
        return self._tokenizer.decode(ids) if ids else ""

    def _checked(self, row: int) -> int:
        if not -self.n_rows <= row < self.n_rows:
            raise IndexError(f"row {row} of {self.n_rows}")
        return row % self.n_rows
