"""A dataset to a token store: tokenize in batches, shuffle the documents, pack, write.

The documents are tokenized once, in the order of the file, to a scratch file of token ids; each
split is then packed in a seeded random order. So memory holds one block of text and one of
tokens, however large the dataset. Read `tokenize_dataset` first.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from saeflow.datasets.split import SPLITS
from saeflow.errors import ConfigError, DataError
from saeflow.files import read_json
from saeflow.logs import Progress
from saeflow.models.load import load_tokenizer
from saeflow.tokens.columns import DTYPES, Columns, ColumnWriter
from saeflow.tokens.counts import Counts
from saeflow.tokens.flags import EOS, flags_of
from saeflow.tokens.packing import Document, Packed, check_bos, limited, one_per_sequence, pack
from saeflow.tokens.store import FORMAT
from saeflow.work import bulk_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from saeflow.work import Work

logger = logging.getLogger(__name__)

_BATCH_DOCUMENTS = 1024
_SAMPLE_TOKENS = 64


class _Text(NamedTuple):
    """The tokenized documents of a dataset, in its own order."""

    token_id: np.ndarray  # (n,) uint32, mapped from the scratch file
    offsets: np.ndarray  # (n_documents + 1,) int64
    number: np.ndarray  # (n_documents,) int64, of the dataset
    split: np.ndarray  # (n_documents,) str
    n_empty: int  # documents without text, which are left out


def tokenize_dataset(
    work: Work, dataset_record: Path, tokenizer_record: Path, settings: Mapping[str, Any]
) -> None:
    """Write the token store of one packing and finish its work, held and unfinished.

    Parameters
    ----------
    dataset_record, tokenizer_record
        ``dataset.json`` and ``tokenizer.json``.
    settings
        ``mode`` (pack or document), ``context_length``, ``bos`` (true, false or "auto": as the
        tokenizer does), ``separator`` (in pack mode: "eos", "none" or a text), ``tokens``
        (limits by split), ``seed`` (of the documents' order).

    Raises
    ------
    DataError
        If there are fewer tokens than a limit asks for, or two BOS stand next to each other.
    """
    facts = read_json(tokenizer_record)
    tokenizer = load_tokenizer(tokenizer_record)
    cut = {
        "context_length": settings["context_length"],
        "bos_id": bos_of(tokenizer, settings["bos"], where=tokenizer_record),
    }
    make = one_per_sequence
    if settings["mode"] == "pack":
        make = pack
        cut["separator"] = _separator(tokenizer, facts, settings["separator"], tokenizer_record)
    work.restart()
    scratch = work.path / "scratch"
    scratch.mkdir()
    text = _tokenize(tokenizer, bulk_of(dataset_record) / "documents.parquet", scratch)
    counts = Counts(dataset_record, settings)
    writer = ColumnWriter(work.path, DTYPES, {"format": FORMAT})
    writer.append(sequence_offsets=np.zeros(1, dtype=np.int64))
    for split in SPLITS:
        order = _order(text, split, settings["seed"])
        counts.begin(split, len(order))
        blocks = make(_documents(text, order), **cut)
        for block in limited(blocks, settings["tokens"].get(split)):
            check_bos(block, facts["bos_id"])
            _write(writer, block, facts, counts.end)
            counts.add(block)
        counts.check(split)
    counts.check_any()
    shutil.rmtree(scratch)
    writer.close()
    work.finish(_record(work.path, tokenizer, facts, cut["bos_id"], counts, text))


def tokenize_texts(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Return the token ids of texts; nothing is added to them and nothing cut off."""
    if not tokenizer.is_fast:
        return tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    backend = tokenizer.backend_tokenizer  # twice as quick as the wrapper's call
    backend.no_truncation()
    backend.no_padding()
    return [e.ids for e in backend.encode_batch_fast(texts, add_special_tokens=False)]


def bos_of(tokenizer: PreTrainedTokenizerBase, wanted: bool | str, *, where: object) -> int | None:
    """Return the id to begin texts with, or None; "auto" is as the tokenizer itself does.

    Where one is asked for and the tokenizer has none, that is a `ConfigError`.
    """
    bos = tokenizer.bos_token_id
    if wanted == "auto":
        own = tokenizer("a")["input_ids"]
        return bos if own and own[0] == bos else None
    if wanted and bos is None:
        raise ConfigError(
            "a BOS token is asked for and the tokenizer has none",
            where=where,
            remedy="Set the packing's bos to auto or false, or measures > states > bos.",
        )
    return bos if wanted else None


def _separator(
    tokenizer: PreTrainedTokenizerBase, facts: Mapping[str, Any], wanted: str, where: Path
) -> list[int]:
    if wanted == "none":
        return []
    if wanted != "eos":
        return tokenize_texts(tokenizer, [wanted])[0]
    if facts["eos_id"] is None:
        raise ConfigError(
            "the packing asks for EOS between documents and the tokenizer has none",
            where=where,
            remedy="Set the packing's separator to none.",
        )
    return [facts["eos_id"]]


def _tokenize(tokenizer: PreTrainedTokenizerBase, source: Path, scratch: Path) -> _Text:
    """Tokenize all documents to a scratch file and map it."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(source)
    numbers, splits, lengths, n_empty = [], [], [], 0
    target = scratch / "token_id.bin"
    batches = file.iter_batches(_BATCH_DOCUMENTS, columns=["document", "text", "split"])
    total = file.metadata.num_rows
    with target.open("wb") as out, Progress(total, desc="tokenize", unit="documents") as bar:
        for batch in batches:
            rows = [row for row in batch.to_pylist() if (row["text"] or "").strip()]
            n_empty += batch.num_rows - len(rows)
            for row, ids in zip(
                rows, tokenize_texts(tokenizer, [r["text"] for r in rows]), strict=True
            ):
                if not ids:
                    n_empty += 1
                    continue
                np.array(ids, dtype=np.uint32).tofile(out)
                numbers.append(row["document"])
                splits.append(row["split"])
                lengths.append(len(ids))
            bar.update(batch.num_rows)
    if not lengths:
        raise DataError(
            "the dataset has no text that the tokenizer knows",
            where=source,
            got=f"{total} documents",
            remedy="Take another dataset, or a tokenizer that was made for its language.",
        )
    if n_empty:
        logger.warning("%d of %d documents have no text and are left out", n_empty, total)
    offsets = np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))])
    token_id = np.memmap(target, dtype=np.uint32, mode="r")
    return _Text(token_id, offsets, np.array(numbers), np.array(splits), n_empty)


def _order(text: _Text, split: str, seed: int) -> np.ndarray:
    """Return the documents of a split in a random order that depends on nothing else."""
    own = np.flatnonzero(text.split == split)
    return own[np.random.default_rng([seed, SPLITS.index(split)]).permutation(len(own))]


def _documents(text: _Text, order: np.ndarray) -> Iterator[Document]:
    for i in order:
        yield Document(int(text.number[i]), text.token_id[text.offsets[i] : text.offsets[i + 1]])


def _write(writer: ColumnWriter, block: Packed, facts: Mapping[str, Any], start: int) -> None:
    flags = flags_of(
        block.token_id,
        bos_id=facts["bos_id"],
        eos_id=facts["eos_id"],
        special_ids=facts["special_ids"],
    )
    flags[block.separator] |= EOS
    writer.append(
        token_id=block.token_id,
        document=block.document,
        position=block.position,
        document_position=block.document_position,
        flags=flags,
        sequence_offsets=start + np.cumsum(block.lengths),
    )


def _record(
    path: Path,
    tokenizer: PreTrainedTokenizerBase,
    facts: Mapping[str, Any],
    bos_id: int | None,
    counts: Counts,
    text: _Text,
) -> dict[str, Any]:
    """Return what the token store's record says; log a decoded sample."""
    columns = Columns(path)
    end = min(_SAMPLE_TOKENS, int(columns.read("sequence_offsets", 1, 2)[0]))
    sample = tokenizer.decode(columns.read("token_id", 0, end).tolist())
    logger.info("the first sequence begins: %s", sample)
    names = ("vocab_size", "bos_id", "eos_id", "pad_id", "special_ids", "vocabulary_sha256")
    return {
        "format": FORMAT,
        **counts.record(),
        "bos": bos_id is not None,
        "n_empty_documents": text.n_empty,
        "tokenizer": {name: facts[name] for name in names},
        "sample": sample,
    }
