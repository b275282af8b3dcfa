"""Parquet: columns with their types, which say by themselves what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from saeflow.datasets.columns import Batch, Types, columns_of, distinct, text_of
from saeflow.datasets.source import BATCH_DOCUMENTS, Source
from saeflow.errors import DataError, first_line


def read(files: Sequence[Path], name: str, text: str) -> Source:
    """Open Parquet files; ``meta.body`` is the field ``body`` of ``meta``."""

    def batches() -> Iterator[Batch]:
        for file in files:
            with _open(file) as opened:
                for batch in opened.iter_batches(batch_size=BATCH_DOCUMENTS):
                    yield Batch(columns_of(batch, text))

    def types() -> Types:
        return Types(columns_of(_schema(file).empty_table(), text) for file in files)

    return Source(name, batches, text, types)


def texts(files: Sequence[Path], text: str) -> Iterator[str]:
    """Yield the texts alone."""
    for columns, _ in read(files, str(files[0]), text).batches():
        yield from text_of(columns, text, str(files[0])).to_pylist()


def rows(files: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each row stands, and its values."""
    for file in files:
        with _open(file) as opened:
            number = count(1)
            for batch in opened.iter_batches(batch_size=BATCH_DOCUMENTS):
                names = distinct(batch.schema.names)
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    yield f"{file} > row {next(number)}", dict(zip(names, values, strict=True))


def _schema(file: Path) -> pa.Schema:
    with _open(file) as opened:
        return opened.schema_arrow


@contextmanager
def _open(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a file; what Arrow cannot read in it is a `DataError`."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            "the file is not readable Parquet",
            where=path,
            got=first_line(error),
            remedy="Copy or fetch it again; it may have been cut off.",
        ) from error
