"""Lines of text files, compressed or not, and what in them is no character.

A byte that is not UTF-8 is kept as a surrogate (PEP 383), as half of an emoji that JSON wrote is
one: whoever makes strings of a line decides by `without_surrogates` or `refuse_surrogates`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from saeflow.datasets.files import compression_of
from saeflow.errors import DataError

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_SURROGATES = re.compile("[\ud800-\udfff]")
_BYTES = re.compile("[\udc80-\udcff]")
_BUFFER_BYTES = 1 << 20


def lines(path: Path, *, ends: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the number (from 1) and the text of each line of a file in UTF-8.

    Parameters
    ----------
    path
        The file.
    ends
        Keep the end of a line in its text.
    """
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            encoding = "utf-8-sig" if number == 1 else "utf-8"
            text = line.decode(encoding, "surrogateescape")
            yield number, text if ends else text.rstrip("\r\n")


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    compression = compression_of(path)
    if compression is None:
        with path.open("rb") as file:
            yield file
        return
    with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, compression) as stream:
        try:
            yield io.BufferedReader(stream, _BUFFER_BYTES)
        except OSError as error:
            raise DataError(
                f"the file is not readable as {compression}",
                where=path,
                got=str(error),
                remedy="Copy or fetch it again; it may have been cut off.",
            ) from error


def is_whole(text: str) -> bool:
    """Whether a text is made of characters alone."""
    return text.isascii() or _SURROGATES.search(text) is None


def without_surrogates(value: Any) -> tuple[Any, int]:
    """Return a value, of JSON or a string, with what is no character replaced, and how often."""
    if isinstance(value, str):
        return (value, 0) if is_whole(value) else _SURROGATES.subn(REPLACEMENT, value)
    if isinstance(value, list):
        pairs = [without_surrogates(item) for item in value]
        return [item for item, _ in pairs], sum(n for _, n in pairs)
    if isinstance(value, dict):
        items = [(without_surrogates(key), without_surrogates(item)) for key, item in value.items()]
        return {k: v for (k, _), (v, _) in items}, sum(n + m for (_, n), (_, m) in items)
    return value, 0


def refuse_surrogates(text: str, where: str) -> None:
    """Raise a `DataError` if bytes of a text were not UTF-8."""
    found = _BYTES.search(text)
    if found:
        raise DataError(
            "the text is not UTF-8",
            where=where,
            got=f"byte 0x{ord(found[0]) & 0xFF:02x} after {text[: found.start()][-20:]!r}",
            remedy="Convert the file: iconv -f <its encoding> -t utf-8.",
        )
