"""Datasets that exist already: read from the hub or a local file, written in our form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saeflow.datasets.files import find_files
from saeflow.datasets.hub import hub_source
from saeflow.datasets.local import local_source
from saeflow.datasets.write import write_documents

if TYPE_CHECKING:
    from saeflow.work import Work


def prepare_dataset(work: Work, settings: Mapping[str, Any], path: str | None = None) -> None:
    """Write a dataset's documents with their split and finish with its record.

    Parameters
    ----------
    work
        Held work; nothing is done if it is finished.
    settings
        ``splits`` and ``splits_seed``; ``text`` and ``separator`` of the local files of ``path``,
        else what `saeflow.datasets.hub.hub_source` reads.
    """
    if work.finished:
        return
    if path is None:
        source = hub_source(settings)
    else:
        separator = settings.get("separator")
        files = find_files(path, where=path, separator=separator)
        source = local_source(files, path, settings.get("text", "text"), separator)
    work.finish(write_documents(work.path, source, settings["splits"], settings["splits_seed"]))
