"""JSON Lines: an object a line, one of whose keys is the text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from saeflow.datasets.columns import Batch, as_column, no_column
from saeflow.datasets.lines import is_whole, lines, refuse_surrogates, without_surrogates
from saeflow.datasets.source import Source, batched
from saeflow.errors import DataError


def read(files: Sequence[Path], name: str, text: str) -> Source:
    """Open files of JSON Lines; ``meta.body`` is the key ``body`` of ``meta``, or a key itself."""

    def batches() -> Iterator[Batch]:
        rows = (row for file in files for row in _rows(file, text))
        for batch in batched(rows):
            names = dict.fromkeys(key for row, _ in batch for key in row)
            columns = {key: as_column([row.get(key) for row, _ in batch]) for key in names}
            yield Batch(columns, sum(n for _, n in batch))

    return Source(name, batches, text)


def texts(files: Sequence[Path], text: str) -> Iterator[str]:
    """Yield the texts alone."""
    for file in files:
        for row, _ in _rows(file, text):
            yield row[text]


def rows(files: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each row stands, and its values as they are."""
    for file in files:
        yield from ((where, row) for where, row, _ in _objects(file))


def _rows(path: Path, text: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each row with its text under the name ``text``, and how much in it was replaced."""
    for where, found, line in _objects(path):
        row = _with_text(found, text, where)
        if not is_whole(line):
            refuse_surrogates(row[text], where)
        elif "\\ud" not in line and "\\uD" not in line:
            yield row, 0
            continue
        yield without_surrogates(row)


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the place of each line that is not blank, its object and the line itself."""
    for number, line in lines(path):
        if not line.strip():
            continue
        where = f"{path} > line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                "the line is not JSON",
                where=where,
                got=str(error),
                remedy="Mend or remove it; a file of JSON Lines has an object in each line.",
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                "the line is not a JSON object",
                where=where,
                expected='{"text": ...}',
                got=line[:40],
                remedy="Write one object a line.",
            )
        yield where, row, line


def _with_text(row: dict[str, Any], text: str, where: str) -> dict[str, Any]:
    """Return a row whose text, wherever it was, is at its name."""
    value = row.get(text)
    if text not in row:
        row, found = _taken(row, text.split("."))
        if not found:
            raise no_column(text, _names(row), where)
        value = row[text] = found[0]
    if not isinstance(value, str):
        raise DataError(
            f"the column '{text}' holds no text",
            where=where,
            expected="a string",
            got="null" if value is None else type(value).__name__,
            remedy="Give this line a text, remove it, or name another column with `text:`.",
        )
    return row


def _taken(row: dict[str, Any], keys: list[str]) -> tuple[dict[str, Any], list[Any]]:
    """Return an object without a key at any depth, and a list of what was there."""
    key, *below = keys
    if key not in row or (below and not isinstance(row[key], dict)):
        return row, []
    rest, found = _taken(row[key], below) if below else ({}, [row[key]])
    return {k: rest if k == key else v for k, v in row.items() if k != key or rest}, found


def _names(row: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in row.items():
        if isinstance(value, dict) and value:
            yield from _names(value, f"{prefix}{key}.")
        else:
            yield prefix + key
