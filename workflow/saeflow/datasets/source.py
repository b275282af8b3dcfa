"""Rows of text on their way into a dataset, whatever they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from saeflow.datasets.columns import Batch, Types

BATCH_DOCUMENTS = 1024

Row = tuple[str, Mapping[str, Any]]
"""Where a row of a file or of the hub stands, for messages, and its values by column."""


@dataclass(frozen=True)
class Source:
    """Rows of text.

    Attributes
    ----------
    name : str
        Where they come from, for messages.
    batches : callable
        Gives a fresh iterator over batches.
    text : str
        Name of the column with the text.
    types : callable
        Gives the types of the columns; by default they are found by reading everything once.
    """

    name: str
    batches: Callable[[], Iterator[Batch]]
    text: str = "text"
    types: Callable[[], Types] | None = None

    def column_types(self) -> Types:
        """Return the types of the columns."""
        if self.types is not None:
            return self.types()
        return Types(batch.columns for batch in self.batches())


def batched(items: Iterator[Any]) -> Iterator[list[Any]]:
    """Yield items in lists of `BATCH_DOCUMENTS`."""
    while batch := list(islice(items, BATCH_DOCUMENTS)):
        yield batch
