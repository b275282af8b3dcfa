"""CSV: a line of names, then a row each; fields with commas, quotes or line breaks in quotes."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from saeflow.datasets.columns import Batch, Column, Types, distinct, no_column
from saeflow.datasets.lines import is_whole, lines, refuse_surrogates, without_surrogates
from saeflow.datasets.source import Source, batched
from saeflow.errors import DataError

ABSENT = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None")
"""What stands for no value."""
_KINDS = [pa.int64(), pa.float64(), pa.bool_(), pa.string()]
"""What the values of a column are: the first that all of them can be read as."""


def read(files: Sequence[Path], name: str, text: str) -> Source:
    """Open CSV files; each has its own line of names.

    The text stays as it is written. Other columns become numbers or truth values where all their
    values can be read so.
    """

    def batches() -> Iterator[Batch]:
        for file in files:  # whose columns may differ
            yield from map(_batch, batched(_rows(file, text)))

    def types() -> Types:
        left: dict[str, list[pa.DataType]] = {text: [pa.string()]}
        for columns, _ in batches():
            for column, values in columns.items():
                kinds = left.get(column, _KINDS)
                left[column] = [kind for kind in kinds if _fits(values, kind)]
        return _Read([pa.schema([(column, kinds[0]) for column, kinds in left.items()])])

    return Source(name, batches, text, types)


def texts(files: Sequence[Path], text: str) -> Iterator[str]:
    """Yield the texts alone."""
    for file in files:
        for row in _rows(file, text):
            yield without_surrogates(row[text])[0]


def rows(files: Sequence[Path]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where each row stands, and its values, which are all strings."""
    for file in files:
        yield from _lines(file)


class _Read(Types):
    """The types that a CSV's strings are read as."""

    def array(self, name: str, column: Column | None, length: int) -> pa.Array:
        read = column if column is None else _as(column, self.of(name))
        return super().array(name, read, length)


def _rows(path: Path, text: str) -> Iterator[dict[str, str]]:
    for where, row in _lines(path):
        if text not in row:
            raise no_column(text, row, where)
        if not is_whole(row[text]):
            refuse_surrogates(row[text], where)
        yield row


def _lines(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the line that each row ends on, and the row."""
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader((line for _, line in lines(path, ends=True)), strict=True)
    names: list[str] = []
    try:
        for row in reader:
            if not row:  # a blank line
                continue
            if not names:
                names = distinct(without_surrogates(row)[0])
                continue
            if len(row) != len(names):
                raise csv.Error(f"{len(row)} fields of {len(names)}")
            yield f"{path} > line {reader.line_num}", dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise DataError(
            "the file is not readable CSV",
            where=f"{path} > line {reader.line_num}",
            expected="as many fields as names, separated by commas",
            got=str(error),
            remedy='Put fields with commas, line breaks or quotes in quotes: "so, ""quoted""".',
        ) from error


def _batch(rows: list[dict[str, str]]) -> Batch:
    columns: dict[str, pa.Array] = {}
    n_replaced = 0
    for name in rows[0]:
        values, n = without_surrogates([row[name] for row in rows])
        columns[name] = pa.array(values, pa.string())
        n_replaced += n
    return Batch(columns, n_replaced)


def _fits(values: pa.Array, kind: pa.DataType) -> bool:
    try:
        _as(values, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return values
    absent = pc.is_in(values, value_set=pa.array(ABSENT))
    return pc.if_else(absent, pa.scalar(None, pa.string()), values).cast(kind)
