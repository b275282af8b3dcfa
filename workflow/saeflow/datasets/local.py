"""Documents from a local file: plain text, JSON Lines, CSV or Parquet.

In a .txt file **blank lines separate documents**: line breaks within a document are kept. One
document per line would cut every longer text into pieces without a word; for that, there is
JSON Lines. Read `local_source` first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from saeflow.datasets.write import BATCH_DOCUMENTS, Source
from saeflow.errors import DataError

_CSV_BLOCK_BYTES = 1 << 26  # a row must fit in a block


def local_source(path: Path, text: str = "text") -> Source:
    """Open a file with documents.

    Parameters
    ----------
    path
        A .txt, .jsonl, .csv or .parquet file; text in UTF-8.
    text
        The column with the text; .txt has only one.

    Raises
    ------
    DataError
        If the file is missing, empty, of another kind, not UTF-8, or malformed; with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            "there is no such file", where=path, got="a directory" if path.is_dir() else None
        )
    if path.suffix not in _READERS:
        raise DataError(
            "files of this kind are not read", where=path, expected=" | ".join(_READERS)
        )
    if path.stat().st_size == 0:
        raise DataError("the file is empty", where=path, expected="at least one document")
    return _READERS[path.suffix](path, text)


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number (from 1) and the text of each line of a file in UTF-8."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(
                    "the file is not UTF-8",
                    where=f"{path} > line {number}",
                    got=f"byte 0x{line[error.start]:02x} at offset {offset + error.start}",
                    remedy="Convert it: iconv -f <its encoding> -t utf-8.",
                ) from error
            offset += len(line)


def _batched(items: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(items, BATCH_DOCUMENTS)):
        yield batch


# -- plain text ------------------------------------------------------------------------------------


def _txt(path: Path, _: str) -> Source:
    schema = pa.schema([pa.field("text", pa.string())])

    def batches() -> Iterator[pa.RecordBatch]:
        for texts in _batched(_paragraphs(path)):
            yield pa.record_batch([pa.array(texts, pa.string())], schema=schema)

    return Source(str(path), schema, batches)


def _paragraphs(path: Path) -> Iterator[str]:
    paragraph: list[str] = []
    for _, line in lines(path):
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield "\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield "\n".join(paragraph)


# -- JSON Lines ------------------------------------------------------------------------------------


def _jsonl(path: Path, text: str) -> Source:
    schema = pa.schema([])
    for rows in _batched(_objects(path, text)):
        schema = _widened(schema, rows, path)

    def batches() -> Iterator[pa.RecordBatch]:
        for rows in _batched(_objects(path, text)):
            columns = [pa.array([row.get(f.name) for row in rows], f.type) for f in schema]
            yield pa.record_batch(columns, schema=schema)

    return Source(str(path), schema, batches, text)


def _objects(path: Path, text: str) -> Iterator[dict[str, Any]]:
    for number, line in lines(path):
        if not line.strip():
            continue
        where = f"{path} > line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError("the line is not JSON", where=where, got=str(error)) from error
        if not isinstance(row, dict):
            raise DataError(
                "the line is not a JSON object",
                where=where,
                expected='{"text": ...}',
                got=line[:40],
            )
        if text not in row:
            raise DataError(
                f"there is no column '{text}'",
                where=where,
                expected=f"`text:` to be one of {', '.join(row) or 'none'}",
                remedy="Name the column that holds the text with `text:` in the dataset's entry.",
            )
        if not isinstance(row[text], str):
            raise DataError(
                f"the column '{text}' holds no text", where=where, got=type(row[text]).__name__
            )
        yield row


def _widened(schema: pa.Schema, rows: list[dict[str, Any]], path: Path) -> pa.Schema:
    """Return a schema that holds these rows too; later rows may bring columns and wider types."""
    names = dict.fromkeys(name for row in rows for name in row)
    for name in names:
        try:
            kind = pa.array([row.get(name) for row in rows]).type
            schema = pa.unify_schemas(
                [schema, pa.schema([pa.field(name, kind)])], promote_options="permissive"
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(
                f"the column '{name}' holds values of several kinds",
                where=path,
                got=str(error).splitlines()[0],
                remedy="Give it one kind in all lines, or leave it out.",
            ) from error
    return schema


# -- tables ----------------------------------------------------------------------------------------


def _csv(path: Path, text: str) -> Source:
    for _ in lines(path):
        pass  # Arrow tells no offset of a byte that is not UTF-8
    string = {text: pa.string()}

    def open_csv() -> pyarrow.csv.CSVStreamingReader:
        return pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(column_types=string),
        )

    def batches() -> Iterator[pa.RecordBatch]:
        with _readable(path, "CSV"), open_csv() as reader:
            yield from (batch for batch in reader if batch.num_rows)

    with _readable(path, "CSV"), open_csv() as reader:
        return Source(str(path), reader.schema, batches, text)


def _parquet(path: Path, text: str) -> Source:
    def batches() -> Iterator[pa.RecordBatch]:
        with _readable(path, "Parquet"), pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=BATCH_DOCUMENTS)

    with _readable(path, "Parquet"), pq.ParquetFile(path) as file:
        return Source(str(path), file.schema_arrow, batches, text)


@contextmanager
def _readable(path: Path, kind: str) -> Iterator[None]:
    """Turn Arrow's errors about a file's content into a `DataError`."""
    try:
        yield
    except pa.ArrowException as error:
        raise DataError(
            f"the file is not readable {kind}", where=path, got=str(error).splitlines()[0]
        ) from error


_READERS: dict[str, Callable[[Path, str], Source]] = {
    ".txt": _txt,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
