"""What became of a dataset's tokens, split by split: stored, dropped, too few.

Read `Counts.record`: these are the numbers that a token store's record gives.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from saeflow.errors import DataError
from saeflow.tokens.packing import Packed

logger = logging.getLogger(__name__)


class Counts:
    """Counts what is stored while it is packed; a limit may leave out most of a dataset.

    Parameters
    ----------
    where
        The dataset, for messages.
    settings
        The packing's ``mode``, ``context_length`` and limits ``tokens``.

    Attributes
    ----------
    end : int
        Tokens of all splits so far.
    """

    def __init__(self, where: Path, settings: Mapping[str, Any]) -> None:
        self.where, self.settings = where, settings
        self.end, self.max_token_id = 0, 0
        self._n_sequences = 0
        self._split = ""
        self._facts: dict[str, dict[str, Any]] = {}
        self._n_given: dict[str, int] = {}
        self._last_document: int | None = None

    def begin(self, split: str, n_documents: int) -> None:
        """Turn to the next split, to which the dataset gives ``n_documents`` with text."""
        self._split, self._last_document = split, None
        self._n_given[split] = n_documents
        self._facts[split] = {
            "n_documents": 0,
            "n_tokens": 0,
            "n_sequences": 0,
            "n_dropped_tokens": 0,
            "n_truncated_documents": 0,
            "token_ranges": [self.end, self.end],
            "sequence_ranges": [self._n_sequences, self._n_sequences],
        }

    def add(self, block: Packed) -> None:
        """Count a block of sequences of the present split."""
        facts, n, m = self._facts[self._split], len(block.token_id), len(block.lengths)
        facts["n_tokens"] += n
        facts["n_sequences"] += m
        facts["n_dropped_tokens"] += int(block.dropped.sum()) + block.remainder
        facts["n_truncated_documents"] += int((block.dropped > 0).sum())
        self.end += n
        self._n_sequences += m
        facts["token_ranges"][1], facts["sequence_ranges"][1] = self.end, self._n_sequences
        if n:  # documents come one after the other, each in one piece
            facts["n_documents"] += int(np.count_nonzero(np.diff(block.document)))
            facts["n_documents"] += int(self._last_document != block.document[0])
            self._last_document = int(block.document[-1])
            self.max_token_id = max(self.max_token_id, int(block.token_id.max()))

    def check(self, split: str) -> None:
        """Say what the split lost; raise a `DataError` if it has fewer tokens than asked for."""
        facts, limit = self._facts[split], self.settings["tokens"].get(split)
        if limit and self._is_short(facts, limit):
            n = facts["n_tokens"] + (facts["n_dropped_tokens"] if self._is_pack else 0)
            raise DataError(
                f"the {split} split has too few tokens: {n:,}",
                where=self.where,
                expected=f"{limit:,}, in sequences of {self.settings['context_length']}",
                got=f"{n:,} tokens in {self._n_given[split]:,} documents",
                remedy=f"Lower the packing's tokens.{split}, or take a larger dataset.",
            )
        if self._n_given[split] and not facts["n_sequences"] and limit != 0:
            logger.warning(
                "the %s split has no sequence: its %d tokens do not fill one",
                split,
                facts["n_dropped_tokens"],
            )
        elif facts["n_dropped_tokens"]:
            logger.info(
                "%s: %s of %s tokens left out (%s)",
                split,
                f"{facts['n_dropped_tokens']:,}",
                f"{facts['n_dropped_tokens'] + facts['n_tokens']:,}",
                "the end of the split does not fill a sequence"
                if self._is_pack
                else f"{facts['n_truncated_documents']:,} documents are longer than a sequence",
            )

    def check_any(self) -> None:
        """Raise a `DataError` if no split has a sequence."""
        if not self._n_sequences:
            lost = sum(facts["n_dropped_tokens"] for facts in self._facts.values())
            raise DataError(
                "there are too few tokens for a single sequence",
                where=self.where,
                expected=f"{self.settings['context_length']} tokens in one split",
                got=f"{lost} tokens in all splits",
                remedy="Lower the packing's context_length, or take a larger dataset.",
            )

    def record(self) -> dict[str, Any]:
        """Return the numbers by name, each of them by split."""
        names = next(iter(self._facts.values()))
        by_name = {
            name: {split: facts[name] for split, facts in self._facts.items()} for name in names
        }
        return {
            **by_name,
            "context_length": self.settings["context_length"],
            "max_token_id": self.max_token_id,
        }

    @property
    def _is_pack(self) -> bool:
        return self.settings["mode"] == "pack"

    def _is_short(self, facts: Mapping[str, Any], limit: int) -> bool:
        """Return whether all documents were used and are not enough."""
        left = limit - facts["n_tokens"]
        used_up = not self._is_pack and facts["n_sequences"] == self._n_given[self._split]
        return left > 0 and (
            left >= self.settings["context_length"] or used_up or not facts["n_sequences"]
        )
