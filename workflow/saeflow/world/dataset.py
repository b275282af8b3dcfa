"""Write the built-in world as a dataset: documents with their truth, and prompt sets.

Read `write_dataset` first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from saeflow.datasets.split import SPLITS, splits_of
from saeflow.errors import DamagedError
from saeflow.inventory import DISCARD
from saeflow.world.corpus import SHARES, generate_documents
from saeflow.world.document import ROLES, Document
from saeflow.world.prompts import PROMPT_SETS, generate_prompts

if TYPE_CHECKING:
    from saeflow.work import Work

# Truth per word and its type on disk; `document.Document` says what each means.
TRUTH = {
    "role": np.uint8,
    "polarity": np.int8,
    "negated": np.uint8,
    "mention": np.uint8,
    "sentence": np.uint16,
}
_COUNTS = ("n_documents", "n_characters", "n_words")
_BLOCK_DOCUMENTS = 4096


def write_dataset(work: Work, settings: Mapping[str, Any]) -> None:
    """Generate a world, write it and finish its work.

    Parameters
    ----------
    work
        Held, unfinished work; it gets ``documents.parquet`` and ``prompts/<set>.parquet``.
    settings
        ``generate``: ``seed``, ``n_tokens``, ``n_prompts`` per set and perhaps ``kinds`` of
        documents; ``splits``: fraction by split; ``splits_seed``.
    """
    work.restart()
    generate = settings["generate"]
    (work.path / "prompts").mkdir()
    for name in PROMPT_SETS:
        prompts = generate_prompts(name, generate["seed"], generate["n_prompts"])
        table = pa.Table.from_pandas(prompts, preserve_index=False)
        pq.write_table(table, work.path / "prompts" / f"{name}.parquet")
    work.finish(
        {
            **_write_documents(work.path / "documents.parquet", settings),
            "roles": list(ROLES),
            "prompts": dict.fromkeys(PROMPT_SETS, generate["n_prompts"]),
        }
    )


def _write_documents(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write the documents, a block of them in memory at a time, and return their counts."""
    generate = settings["generate"]
    kinds = generate.get("kinds") or SHARES
    documents = generate_documents(generate["seed"], generate["n_tokens"], kinds)
    counts = {name: dict.fromkeys(SPLITS, 0) for name in _COUNTS}
    n_written = 0
    with pq.ParquetWriter(path, documents_table([], [], 0).schema) as writer:
        while block := list(islice(documents, _BLOCK_DOCUMENTS)):
            texts = [document.text for document in block]
            splits = splits_of(texts, settings["splits"], settings["splits_seed"])
            writer.write_table(documents_table(block, splits, n_written))
            n_written += len(block)
            for document, split in zip(block, splits, strict=True):
                values = (1, len(document.text), len(document.words))
                for name, value in zip(_COUNTS, values, strict=True):
                    counts[name][split] += value
    return counts | {"columns": documents_table([], [], 0).column_names}


def documents_table(documents: Sequence[Document], splits: Sequence[str], first: int) -> pa.Table:
    """Return one row per document, numbered from ``first``; truth is a list, a value per word."""
    offsets = np.cumsum([0, *(len(document.words) for document in documents)]).astype(np.int32)
    columns: dict[str, pa.Array] = {
        "document": pa.array(np.arange(first, first + len(documents), dtype=np.int64)),
        "text": pa.array([document.text for document in documents], pa.string()),
        "split": pa.array(splits, pa.string()),
        "kind": pa.array([document.kind for document in documents], pa.string()),
        "topic": pa.array([document.topic for document in documents], pa.string()),
        "label": pa.array([document.label for document in documents], pa.int8()),
    }
    for name, dtype in TRUTH.items():
        values = chain.from_iterable(getattr(document, name) for document in documents)
        columns[name] = pa.ListArray.from_arrays(pa.array(offsets), np.fromiter(values, dtype))
    return pa.table(columns)


def read_prompts(dataset: Path, name: str) -> pd.DataFrame:
    """Return one prompt set of a finished dataset's bulk directory.

    Raises
    ------
    DamagedError
        If a text, a label, a target or its candidates is none; it names the prompt.
    """
    file = Path(dataset) / "prompts" / f"{name}.parquet"
    prompts = pd.read_parquet(file)
    for column, right, expected in (
        ("text", lambda value: isinstance(value, str) and value, "a text"),
        ("target", lambda value: isinstance(value, str) and value, "a word"),
        ("label", lambda value: value in (0, 1), "0 or 1"),
    ):
        if column in prompts:
            _require(file, prompts, column, prompts[column].map(right), expected)
    if "candidates" in prompts:
        pairs = zip(prompts["candidates"], prompts["target"], strict=True)
        among = pd.Series([words is not None and word in list(words) for words, word in pairs])
        _require(file, prompts, "candidates", among, "words with the target among them")
    return prompts


def _require(
    file: Path, prompts: pd.DataFrame, column: str, right: pd.Series, expected: str
) -> None:
    wrong = np.flatnonzero(~right.to_numpy(bool))
    if len(wrong):
        raise DamagedError(
            "a prompt cannot be scored",
            where=f"{file}, row {wrong[0]}, column {column}",
            expected=expected,
            got=f"{prompts[column].iloc[wrong[0]]}, and {len(wrong):,} such rows in all",
            remedy=DISCARD,
        )
