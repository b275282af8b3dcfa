"""Write a dataset's documents, whatever they come from, in bounded memory.

Read `write_documents`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from saeflow.datasets.columns import text_of
from saeflow.datasets.source import Source
from saeflow.datasets.split import SPLITS, splits_of
from saeflow.errors import DataError

logger = logging.getLogger(__name__)

FILE = "documents.parquet"
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<|im_end|>",
    "<eos>",
    "<bos>",
    "</s>",
)
"""Texts that known tokenizers have for the beginning and the end of a document."""

_OWN_COLUMNS = ("document", "text", "split")


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
        Columns beside the text are kept, see `saeflow.datasets.columns`; one called like a column
        of ours gets the prefix ``source_``.
    fractions, seed
        See `saeflow.datasets.split.splits_of`.

    Returns
    -------
    dict
        ``n_documents`` and ``n_characters`` by split; ``n_blank``; ``n_replaced``, how often
        something was no character; ``n_with_special_tokens``, documents by the text of a token
        in them; ``columns``, and ``columns_as_json``, those of them that have no type.

    Raises
    ------
    DataError
        If the text's column is missing or holds no text, or there is no document.
    """
    types, counts = source.column_types(), _Counts()
    names = _new_names([name for name in types if name != source.text])
    columns = [pa.field("document", pa.int64()), pa.field("text", pa.string())]
    columns += [pa.field("split", pa.string())]
    columns += [pa.field(new, types.of(old)) for old, new in names.items()]
    schema = pa.schema(columns)
    with pq.ParquetWriter(Path(directory) / FILE, schema) as writer:
        for batch, n_replaced in source.batches():
            found = text_of(batch, source.text, source.name, counts.total + counts.blank + 1)
            others = [types.array(old, batch.get(old), len(found)) for old in names]
            full = pc.not_equal(pc.utf8_length(pc.utf8_trim_whitespace(found)), 0)
            texts, others = found.filter(full), [other.filter(full) for other in others]
            splits = splits_of(texts.to_pylist(), fractions, seed)
            numbers = pa.array(range(counts.total, counts.total + len(texts)), pa.int64())
            own = [numbers, texts, pa.array(splits, pa.string())]
            writer.write_batch(pa.record_batch([*own, *others], schema=schema))
            counts.add(texts.to_pylist(), splits)
            counts.blank += len(found) - len(texts)
            counts.replaced += n_replaced
    if not counts.total:
        raise DataError(
            "there is no document with any text",
            where=source.name,
            got=f"{counts.blank} without",
            remedy="Name the column that holds the text with `text:` in the dataset's entry.",
        )
    as_json = [names[name] for name in types.as_json if name in names]
    counts.log(source, as_json)
    return {
        "n_documents": counts.documents,
        "n_characters": counts.characters,
        "n_blank": counts.blank,
        "n_replaced": counts.replaced,
        "n_with_special_tokens": counts.special,
        "columns": schema.names,
        "columns_as_json": as_json,
    }


class _Counts:
    """What was written so far."""

    def __init__(self) -> None:
        self.documents = dict.fromkeys(SPLITS, 0)
        self.characters = dict.fromkeys(SPLITS, 0)
        self.blank = self.replaced = 0
        self.special: dict[str, int] = {}

    @property
    def total(self) -> int:
        return sum(self.documents.values())

    def add(self, texts: list[str], splits: list[str]) -> None:
        for text, split in zip(texts, splits, strict=True):
            self.documents[split] += 1
            self.characters[split] += len(text)
        for token in SPECIAL_TOKENS:
            n = sum(token in text for text in texts)
            if n:
                self.special[token] = self.special.get(token, 0) + n

    def log(self, source: Source, as_json: list[str]) -> None:
        """Say what a reader of the record would want to have been told."""
        if as_json:
            logger.info(
                "%s: kept as JSON text, not being of one type: %s", source.name, ", ".join(as_json)
            )
        if self.replaced:
            logger.warning(
                "%s: %d times something was no character (half of an emoji, a broken byte) and"
                " was replaced by U+FFFD",
                source.name,
                self.replaced,
            )
        for token, n in self.special.items():
            logger.warning(
                "%s: '%s' stands in %d of %d documents; where it stands on lines of its own between"
                " the documents of a .txt, set `separator: '%s'` in the dataset's entry",
                source.name,
                token,
                n,
                self.total,
                token,
            )


def _new_names(names: Sequence[str]) -> dict[str, str]:
    """Map the columns beside the text to the names under which they are kept."""
    kept: dict[str, str] = {}
    for name in names:
        new = f"source_{name}" if name in _OWN_COLUMNS else name
        while new in kept.values() or (new != name and new in names):
            new += "_"
        kept[name] = new
    return kept
