"""Datasets that exist already: read from the hub or a local file, written in our form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saeflow.datasets.hub import hub_source
from saeflow.datasets.local import local_source
from saeflow.datasets.write import write_documents

if TYPE_CHECKING:
    from saeflow.work import Work


def prepare_dataset(work: Work, settings: Mapping[str, Any], path: Path | None = None) -> None:
    """Write a dataset's documents with their split and finish with its record.

    Parameters
    ----------
    work
        Held work; nothing is done if it is finished.
    settings
        ``splits`` and ``splits_seed``, ``text``; ``hub`` and what
        `saeflow.datasets.hub.hub_source` reads unless ``path`` is given.
    path
        A local file.
    """
    if work.finished:
        return
    if path is None:
        source = hub_source(settings)
    else:
        source = local_source(path, settings.get("text", "text"))
    work.finish(write_documents(work.path, source, settings["splits"], settings["splits_seed"]))
