"""Labelled texts and their tasks, and how jobs write and read them. Read `read_labelled`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saeflow.errors import DamagedError
from saeflow.files import read_json
from saeflow.inventory import DISCARD
from saeflow.work import bulk_of

EXAMPLES, LABELS = "examples.parquet", "labels.parquet"
TRAIN, TEST, SHIFT = "train", "test", "shift"
"""Splits; shift is a second distribution with the same label, which is only tested on."""

SPLITS = (TRAIN, TEST, SHIFT)


class LabelledTask(NamedTuple):
    """A question with two answers about each of some texts.

    Attributes
    ----------
    name : str
        ``dataset``, ``dataset.column`` where there are several, ``dataset=class`` for one class
        against the rest.
    dataset : str
        That all its examples are of.
    examples : ndarray (m,) int64
        Numbers of its texts, rising.
    labels : ndarray (m,) int8
        1 where the answer is yes, else 0.
    splits : ndarray (m,) str
        One of `SPLITS` each.
    facts : dict
        What the record says of it.
    """

    name: str
    dataset: str
    examples: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    facts: dict[str, Any]

    def of(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the examples of a split and their labels."""
        there = self.splits == split
        return self.examples[there], self.labels[there]


class Labelled(NamedTuple):
    """Texts with labels.

    Attributes
    ----------
    texts : list of str
        What the model reads, with the template around it; a space at its end is part of it.
    splits, datasets : ndarray (n,) str
        Of each text.
    spans : ndarray (n, 2) int64
        First character of the raw text within `texts`, and the one after its last.
    concepts : list of (ndarray (m, 2) int64 or None)
        Characters within `texts` where the concept stands, like `spans`; None where it is not
        known.
    tasks : list of LabelledTask
        Those of a dataset are beside each other.
    """

    texts: list[str]
    splits: np.ndarray
    datasets: np.ndarray
    spans: np.ndarray
    concepts: list[np.ndarray | None]
    tasks: list[LabelledTask]


def write_labelled(directory: Path, labelled: Labelled) -> None:
    """Write ``examples.parquet``, a row per text, and ``labels.parquet``, one per text and task."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n, spans = len(labelled.texts), labelled.spans.astype(np.int64)
    concepts = [None if one is None else one.astype(np.int64).ravel() for one in labelled.concepts]
    examples = {
        "example": pa.array(np.arange(n, dtype=np.int64)),
        "dataset": pa.array(labelled.datasets.tolist(), pa.string()),
        "text": pa.array(labelled.texts, pa.string()),
        "start": pa.array(spans[:, 0]),
        "end": pa.array(spans[:, 1]),
        "concept": pa.array(concepts, pa.list_(pa.int64())),
        "split": pa.array(labelled.splits.tolist(), pa.string()),
    }
    pq.write_table(pa.table(examples), Path(directory) / EXAMPLES)
    tasks = labelled.tasks
    names = [name for task in tasks for name in [task.name] * len(task.examples)]
    labels = {
        "task": pa.array(names, pa.string()),
        "example": pa.array(_joined([task.examples for task in tasks], np.int64)),
        "label": pa.array(_joined([task.labels for task in tasks], np.int8)),
    }
    pq.write_table(pa.table(labels), Path(directory) / LABELS)


def read_labelled(record: Path) -> Labelled:
    """Return the labelled texts of a ``labelled.json``.

    Raises
    ------
    DamagedError
        If its data are missing, or are not as many as it says.
    """
    import pyarrow.parquet as pq

    facts, bulk = read_json(record), bulk_of(record)
    table = pq.read_table(bulk / EXAMPLES)
    _require(bulk / EXAMPLES, "texts", facts["n_examples"], table.num_rows)
    splits, datasets = (np.array(table[name].to_pylist(), str) for name in ("split", "dataset"))
    spans = np.stack([table[name].to_numpy() for name in ("start", "end")], axis=1)
    concepts = [
        None if flat is None else np.array(flat, np.int64).reshape(-1, 2)
        for flat in table["concept"].to_pylist()
    ]
    tasks = _tasks(bulk / LABELS, facts, splits, datasets)
    return Labelled(table["text"].to_pylist(), splits, datasets, spans, concepts, tasks)


def _tasks(
    file: Path, facts: dict[str, Any], splits: np.ndarray, datasets: np.ndarray
) -> list[LabelledTask]:
    """Return tasks in the order in which they were written."""
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    _require(file, "labels", facts["n_labels"], table.num_rows)
    names = table["task"].combine_chunks().dictionary_encode()
    owner, examples, labels = (
        column.to_numpy() for column in (names.indices, table["example"], table["label"])
    )
    bounds = np.searchsorted(owner, np.arange(len(names.dictionary) + 1))
    tasks = []
    for name, start, end in zip(names.dictionary.to_pylist(), bounds[:-1], bounds[1:], strict=True):
        own = examples[start:end]
        tasks.append(
            LabelledTask(
                name, str(datasets[own[0]]), own, labels[start:end], splits[own],
                facts["tasks"][name],
            )
        )  # fmt: skip
    return tasks


def _require(file: Path, what: str, expected: int, got: int) -> None:
    if got != expected:
        raise DamagedError(
            "the labelled texts are not complete",
            where=file,
            expected=f"{expected} {what}",
            got=got,
            remedy=DISCARD,
        )


def _joined(arrays: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype)
