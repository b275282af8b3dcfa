"""Documents and rows of local files: plain text, JSON Lines, CSV or Parquet, compressed or not.

Read `local_source`; `head_of` looks at a dataset before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from saeflow.datasets.files import CSV, JSONL, PARQUET, TXT, find_files, kind_of
from saeflow.datasets.readers import csv, jsonl, parquet, txt
from saeflow.datasets.source import Row, Source
from saeflow.errors import DataError

_READERS = {JSONL: jsonl, CSV: csv, PARQUET: parquet}


def local_source(
    files: Sequence[Path], name: str, text: str = "text", separator: str | None = None
) -> Source:
    """Open a dataset's files.

    Parameters
    ----------
    files
        As `saeflow.datasets.files.find_files` gives them: of one kind, text in UTF-8.
    name
        Of the dataset, for messages.
    text
        The column with the text; .txt has only one.
    separator
        The line between documents of a .txt; blank lines by default.

    Raises
    ------
    DataError
        If a file is empty; when it is read, if its text is not UTF-8 or it is malformed, with the
        line.
    """
    kind = _checked_kind(files, text)
    if kind == TXT:
        return txt.read(files, name, separator)
    return _READERS[kind].read(files, name, text)


def rows_of(files: Sequence[Path]) -> Iterator[Row]:
    """Yield the rows of some files of one kind that has columns; values of CSV are all strings."""
    yield from _READERS[kind_of(files[0])].rows(files)


class Head(NamedTuple):
    """The beginning of a dataset.

    Attributes
    ----------
    texts : list of str
        The first documents.
    is_all : bool
        Whether there are no others.
    files : list of Path
        All that are read.
    """

    texts: list[str]
    is_all: bool
    files: list[Path]


def head_of(
    path: Path | str,
    *,
    where: object,
    text: str = "text",
    separator: str | None = None,
    n_documents: int = 100,
) -> Head:
    """Read the first documents of a local dataset: quick, however large it is, and without torch.

    Parameters
    ----------
    path, where, separator
        As of `saeflow.datasets.files.find_files`.
    text
        The column with the text.
    n_documents
        How many at most; those without any text do not count.

    Raises
    ------
    ConfigError, DataError
        Those that reading all of it raises: no file, no such column, no text in it.
    """
    files = find_files(path, where=where, separator=separator)
    kind = _checked_kind(files, text)
    found = txt.texts(files, separator) if kind == TXT else _READERS[kind].texts(files, text)
    texts = list(islice((one for one in found if one.strip()), n_documents + 1))
    return Head(texts[:n_documents], len(texts) <= n_documents, files)


def _checked_kind(files: Sequence[Path], text: str) -> str | None:
    """Return of what kind a dataset's files are, after a look at what must not be."""
    kind = kind_of(files[0])
    if kind == TXT and text != "text":
        raise DataError(
            "a .txt has no columns",
            where=files[0],
            got=f"text: {text}",
            remedy="Remove `text` from the dataset's entry.",
        )
    for file in files:
        if file.stat().st_size == 0:
            raise DataError(
                "the file is empty",
                where=file,
                expected="at least one document",
                remedy="Copy or fetch it again, or remove it.",
            )
    return kind
