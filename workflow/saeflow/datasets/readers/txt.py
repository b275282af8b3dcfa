"""Plain text: blank lines separate documents, or a line that is given.

One document per line would cut every longer text into pieces without a word; for that, there is
JSON Lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from saeflow.datasets.columns import Batch, Types
from saeflow.datasets.lines import lines, refuse_surrogates
from saeflow.datasets.source import Source, batched


def read(files: Sequence[Path], name: str, separator: str | None = None) -> Source:
    """Open text files; a document does not go on in the next one.

    ``separator``, white space around it aside, is the line between documents; without it blank
    lines are.
    """

    def batches() -> Iterator[Batch]:
        for batch in batched(texts(files, separator)):
            yield Batch({"text": pa.array(batch, pa.string())})

    return Source(name, batches, types=lambda: Types([pa.schema([("text", pa.string())])]))


def texts(files: Sequence[Path], separator: str | None = None) -> Iterator[str]:
    """Yield the texts alone."""
    for file in files:
        yield from _documents(file, separator)


def _documents(path: Path, separator: str | None) -> Iterator[str]:
    between = (separator or "").strip()
    document: list[str] = []
    for number, line in lines(path):
        refuse_surrogates(line, f"{path} > line {number}")
        if line.strip() != between:
            document.append(line)
        elif document:
            yield from _text(document)
            document = []
    yield from _text(document)


def _text(document: list[str]) -> Iterator[str]:
    """Yield the text, without blank lines at its ends; nothing if there is none."""
    written = [i for i, line in enumerate(document) if line.strip()]
    if written:
        yield "\n".join(document[written[0] : written[-1] + 1])
