"""The datasets of an entry, one after another: from files, the hub or the world.

Read `read_datasets`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from saeflow import registry
from saeflow.datasets.rows import hub_rows, rows_of
from saeflow.labelled.files import matched_files
from saeflow.labelled.labelled import SHIFT, TEST, TRAIN
from saeflow.labelled.texts import Texts, joined, texts_of
from saeflow.logs import progress

_SPLITS = {"path": TRAIN, "test_path": TEST, "shift_path": SHIFT}
Words = Mapping[str, Mapping[str, str]]


def read_datasets(
    settings: Mapping[str, Any], paths: Mapping[str, str]
) -> Iterator[tuple[str, Texts, Words]]:
    """Yield the name of each dataset, its texts, and by column the words that go with its classes.

    Parameters
    ----------
    settings
        ``name`` of the entry; ``generate`` and the ``world``; or ``text``, ``label``, perhaps
        ``concept`` and ``words``, and ``hub`` and what `saeflow.datasets.hub.hub_source` reads
        where there are no paths.
    paths
        ``path``, and perhaps ``test_path`` and ``shift_path``.
    """
    name = settings["name"]
    if "generate" in settings:
        # by name: the world's grammar counts only for texts that are made with it
        world = registry.load("labelled", "world")
        yield name, world.reviews(**settings["world"]), world.WORDS
        return
    words = dict.fromkeys(settings["label"], settings["words"]) if "words" in settings else {}
    if paths:
        datasets = matched_files(paths).datasets
        for dataset, files in progress(datasets.items(), desc="datasets", unit="datasets"):
            yield dataset or name, _of_files(files, settings), words
        return
    parts = [texts_of(hub_rows(settings), settings, TRAIN)]
    if "test_split" in settings:
        rows = hub_rows(dict(settings, split=settings["test_split"]))
        parts.append(texts_of(rows, settings, TEST))
    yield name, joined(parts), words


def _of_files(files: Mapping[str, list[Path]], settings: Mapping[str, Any]) -> Texts:
    return joined(
        texts_of(rows_of([file]), settings, _SPLITS[key])
        for key, own in files.items()
        for file in own
    )
