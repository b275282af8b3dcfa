"""Rows of files or of a dataset on the hub, each with its place and its values by column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saeflow.datasets.columns import Column
from saeflow.datasets.files import CSV, JSONL, PARQUET, kind_of
from saeflow.datasets.hub import hub_source
from saeflow.datasets.readers import csv, jsonl, parquet

Row = tuple[str, Mapping[str, Any]]
"""Where a row stands, for messages, and its values."""

_READERS = {JSONL: jsonl, CSV: csv, PARQUET: parquet}


def rows_of(files: Sequence[Path]) -> Iterator[Row]:
    """Yield the rows of some files of one kind; the values of CSV are all strings."""
    yield from _READERS[kind_of(files[0])].rows(files)


def hub_rows(settings: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of a dataset, as `saeflow.datasets.hub.hub_source` fetches it."""
    name, number = settings["hub"], 0
    for batch in hub_source(settings).batches():
        columns = {name: _values(column) for name, column in batch.columns.items()}
        for values in zip(*columns.values(), strict=True):
            number += 1
            yield f"{name} > row {number}", dict(zip(columns, values, strict=True))


def _values(column: Column) -> list[Any]:
    return column if isinstance(column, list) else column.to_pylist()
