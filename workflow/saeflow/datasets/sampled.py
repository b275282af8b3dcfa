"""Documents sampled from a model.

Each batch is kept as soon as it is sampled: a killed run goes on after the last one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from saeflow.datasets.columns import Batch
from saeflow.datasets.source import Source
from saeflow.datasets.write import write_documents
from saeflow.files import write_atomic
from saeflow.interrupt import interruptible
from saeflow.logs import Progress
from saeflow.models.load import load_model, load_tokenizer
from saeflow.models.sample import BATCH_DOCUMENTS, sample_documents

if TYPE_CHECKING:
    from saeflow.work import Work


def sample_dataset(work: Work, settings: Mapping[str, Any], model: Path, tokenizer: Path) -> None:
    """Sample documents, write them with their split, and finish with the record.

    Parameters
    ----------
    work
        Held work; nothing is done if it is finished.
    settings
        ``sample`` with ``n_documents``, ``temperature``, ``top_k``, ``max_tokens``, ``seed``;
        ``splits`` and ``splits_seed``.
    model, tokenizer
        Records.
    """
    if work.finished:
        return
    directory = work.path / "sampled"
    directory.mkdir(exist_ok=True)
    _sample(directory, dict(settings["sample"]), model, tokenizer)

    def batches() -> Iterator[Batch]:
        for file in sorted(directory.glob("*.json")):
            texts = json.loads(file.read_bytes())
            yield Batch({"text": pa.array(texts, pa.string())})

    source = Source("documents sampled from the model", batches)
    facts = write_documents(work.path, source, settings["splits"], settings["splits_seed"])
    shutil.rmtree(directory)
    work.finish(facts)


def _sample(directory: Path, sample: dict[str, Any], model: Path, tokenizer: Path) -> None:
    """Fill ``directory`` with one file per batch of texts, after those that it has already."""
    n_documents = sample.pop("n_documents")
    done = min(len(list(directory.glob("*.json"))) * BATCH_DOCUMENTS, n_documents)
    if done == n_documents:
        return
    texts = sample_documents(
        load_model(model), load_tokenizer(tokenizer), n_documents - done, first=done, **sample
    )
    bar = Progress(n_documents, desc="sampling", unit="documents", done=done)
    with bar, interruptible() as stop:
        while batch := list(islice(texts, BATCH_DOCUMENTS)):
            name = f"{bar.done // BATCH_DOCUMENTS:08d}.json"
            write_atomic(directory / name, json.dumps(batch, ensure_ascii=False).encode())
            bar.update(len(batch))
            stop.check()
