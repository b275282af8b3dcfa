"""Write a dataset's documents, whatever they come from, in bounded memory.

Read `write_documents` first; `Source` is what the modules of this package make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from saeflow.datasets.split import SPLITS, splits_of
from saeflow.errors import DataError

FILE = "documents.parquet"
BATCH_DOCUMENTS = 1024
_OWN_COLUMNS = ("document", "text", "split")


@dataclass(frozen=True)
class Source:
    """Rows of text on their way into a dataset.

    Attributes
    ----------
    name : str
        Where they come from, for messages.
    schema : Schema
        The columns.
    batches : callable
        Gives a fresh iterator over record batches of that schema.
    text : str
        Name of the column with the text.
    """

    name: str
    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]
    text: str = "text"


def write_documents(
    directory: Path, source: Source, fractions: Mapping[str, float], seed: int
) -> dict[str, Any]:
    """Write ``documents.parquet`` and return what the dataset's record says of it.

    Parameters
    ----------
    directory
        Where to write.
    source
        The rows. Those with nothing but white space are left out and counted as ``n_blank``.
        Columns beside the text are kept; one called like a column of ours gets the prefix
        ``source_``.
    fractions, seed
        See `saeflow.datasets.split.split_of`.

    Returns
    -------
    dict
        ``n_documents`` and ``n_characters`` by split, ``n_blank``, ``columns``.

    Raises
    ------
    DataError
        If the text's column is missing or holds no text, or there is no document.
    """
    names = _new_names(source)
    columns = [pa.field("document", pa.int64()), pa.field("text", pa.string())]
    columns += [pa.field("split", pa.string())]
    columns += [source.schema.field(old).with_name(new) for old, new in names.items()]
    counts = _Counts()
    with pq.ParquetWriter(Path(directory) / FILE, pa.schema(columns)) as writer:
        for batch in source.batches():
            batch = _without_blank(batch, source, counts)
            texts = batch.column(source.text).to_pylist()
            splits = splits_of(texts, fractions, seed)
            first = counts.total
            counts.add(texts, splits)
            numbers = pa.array(range(first, counts.total), pa.int64())
            own = [numbers, pa.array(texts, pa.string()), pa.array(splits, pa.string())]
            others = [batch.column(old) for old in names]
            writer.write_batch(pa.record_batch([*own, *others], schema=pa.schema(columns)))
    if not counts.total:
        raise DataError("there is no document with any text", where=source.name)
    return {
        "n_documents": counts.documents,
        "n_characters": counts.characters,
        "n_blank": counts.blank,
        "columns": [column.name for column in columns],
    }


class _Counts:
    """What was written so far."""

    def __init__(self) -> None:
        self.documents = dict.fromkeys(SPLITS, 0)
        self.characters = dict.fromkeys(SPLITS, 0)
        self.blank = 0

    @property
    def total(self) -> int:
        return sum(self.documents.values())

    def add(self, texts: list[str], splits: list[str]) -> None:
        for text, split in zip(texts, splits, strict=True):
            self.documents[split] += 1
            self.characters[split] += len(text)


def _new_names(source: Source) -> dict[str, str]:
    """Map the columns beside the text to the names under which they are kept."""
    if source.text not in source.schema.names:
        raise DataError(
            f"there is no column '{source.text}'",
            where=source.name,
            expected=f"`text:` to be one of {', '.join(source.schema.names)}",
            remedy="Name the column that holds the text with `text:` in the dataset's entry.",
        )
    kind = source.schema.field(source.text).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(
            f"the column '{source.text}' holds no text", where=source.name, got=str(kind)
        )
    others = [name for name in source.schema.names if name != source.text]
    names = {name: f"source_{name}" if name in _OWN_COLUMNS else name for name in others}
    if len(set(names.values())) < len(names):
        raise DataError(
            "two columns would have the same name", where=source.name, got=", ".join(others)
        )
    return names


def _without_blank(batch: pa.RecordBatch, source: Source, counts: _Counts) -> pa.RecordBatch:
    column = batch.column(source.text)
    if column.null_count:
        row = counts.total + counts.blank + column.is_null().to_pylist().index(True) + 1
        raise DataError(
            f"a row has no value in the column '{source.text}'", where=f"{source.name} > row {row}"
        )
    full = pc.not_equal(pc.utf8_length(pc.utf8_trim_whitespace(column)), 0)
    kept = batch.filter(full)
    counts.blank += batch.num_rows - kept.num_rows
    return kept
