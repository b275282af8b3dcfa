"""Documents and rows of a dataset on the Hugging Face hub, at a pinned commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import count
from typing import Any

from saeflow.datasets.columns import Batch, Types, columns_of
from saeflow.datasets.source import BATCH_DOCUMENTS, Row, Source
from saeflow.errors import ConfigError
from saeflow.hub import clear_errors, offline, require_commit, unreachable

_NEEDED = "the dataset"


def hub_source(settings: Mapping[str, Any]) -> Source:
    """Fetch a dataset into the hub's cache and open it.

    Parameters
    ----------
    settings
        ``hub``, ``revision``, ``split``; optionally ``config``, ``text``, and ``n_documents``,
        with which only so many documents are read, and no more than needed is fetched.

    Raises
    ------
    NetworkError
        If the hub does not answer and the cache does not have it.
    ConfigError
        If there is no such dataset, configuration or split.
    """
    name, revision = settings["hub"], settings["revision"]
    require_commit(name, revision, kind="dataset")
    n_documents = settings.get("n_documents")
    with clear_errors(name, revision, kind="dataset", needed=_NEEDED):
        builder = _builder(settings)
        dataset = _dataset(builder, settings["split"], n_documents).with_format("arrow")
        # A stream knows its columns, and touches the network, only when it is read.
        first = next(iter(dataset.iter(batch_size=1)), None)
    text = settings.get("text", "text")
    schema = (dataset.features.arrow_schema if first is None else first.schema).remove_metadata()
    types = Types([columns_of(schema.empty_table(), text)])

    def batches() -> Iterator[Batch]:
        with clear_errors(name, revision, kind="dataset", needed=_NEEDED):
            for table in dataset.iter(batch_size=BATCH_DOCUMENTS):
                yield Batch(columns_of(table, text))

    return Source(name, batches, text, lambda: types)


def hub_rows(settings: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of a dataset, as `hub_source` fetches it."""
    number = count(1)
    for batch in hub_source(settings).batches():
        columns = {
            name: column if isinstance(column, list) else column.to_pylist()
            for name, column in batch.columns.items()
        }
        for values in zip(*columns.values(), strict=True):
            yield f"{settings['hub']} > row {next(number)}", dict(zip(columns, values, strict=True))


def _builder(settings: Mapping[str, Any]) -> Any:
    """Return the dataset's builder, from the cache if the hub cannot be reached.

    Asking the hub first, and holding the builder against the commit afterwards, is not zeal:
    without a network `datasets` takes *any* commit and configuration that it has in its cache,
    with a log line.
    """
    from datasets import load_dataset_builder

    name, revision = settings["hub"], settings["revision"]
    problem = unreachable(name, revision, kind="dataset", needed=_NEEDED)
    config = settings.get("config") or ("default" if problem else None)
    try:
        with offline() if problem else nullcontext():
            builder = load_dataset_builder(name, config, revision=revision)
    except (ValueError, OSError) as error:
        if problem is not None:
            raise problem from error
        if isinstance(error, OSError):
            raise
        raise ConfigError(
            "the dataset has no such configuration",
            where=name,
            got=settings.get("config"),
            remedy=" ".join(str(error).split())[:400],
        ) from error
    if builder.hash != revision:
        raise problem or ConfigError(
            "the hub gave another commit than asked for",
            where=name,
            expected=revision,
            got=builder.hash,
        )
    return builder


def _dataset(builder: Any, split: str, n_documents: int | None) -> Any:
    try:
        if n_documents is not None:
            return builder.as_streaming_dataset(split=split).take(n_documents)
        builder.download_and_prepare()
        return builder.as_dataset(split=split)
    except ValueError as error:  # the text lists the splits that there are
        raise ConfigError(
            "the dataset has no such split",
            where=builder.repo_id,
            got=split,
            remedy=" ".join(str(error).split())[:400],
        ) from error
