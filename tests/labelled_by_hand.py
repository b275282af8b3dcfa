"""Labelled texts that a test writes down, published as jobs read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saeflow.labelled.labelled import Labelled, LabelledTask, write_labelled
from saeflow.work import hold


def labelled(
    texts: Sequence[str],
    *,
    raw: Sequence[str] | None = None,
    concepts: Sequence[Sequence[str] | None] | None = None,
    splits: Sequence[str] | None = None,
    tasks: Mapping[str, Mapping[int, int]] = {},
    facts: Mapping[str, Mapping[str, Any]] = {},
) -> Labelled:
    """Return texts with spans that are told by words.

    Parameters
    ----------
    texts
        What the model reads.
    raw
        The raw text within each, where it first stands; all of it by default.
    concepts
        Words within each text, where they first stand; None for what is not known.
    splits
        Of each text; "train" by default.
    tasks
        Name -> example -> label.
    facts
        Name -> what the record says of a task.
    """
    n = len(texts)
    splits = np.array(["train"] * n if splits is None else splits)
    spans = [_span(text, own) for text, own in zip(texts, raw or texts, strict=True)]
    known = [
        None if words is None else np.array([_span(text, w) for w in words]).reshape(-1, 2)
        for text, words in zip(texts, concepts or [None] * n, strict=True)
    ]
    made = []
    for name, labels in tasks.items():
        examples = np.array(sorted(labels), np.int64)
        own = np.array([labels[one] for one in sorted(labels)], np.int8)
        made.append(
            LabelledTask(name, "texts", examples, own, splits[examples], dict(facts.get(name, {})))
        )
    return Labelled(list(texts), splits, np.array(["texts"] * n), np.array(spans), known, made)


def publish_labelled(record: Path, made: Labelled) -> Path:
    """Write labelled texts as a finished ``labelled.json``."""
    with hold(record, f"labelled {record.parent.name}".ljust(64, "0")) as work:
        write_labelled(work.path, made)
        work.finish(
            {
                "n_examples": len(made.texts),
                "n_labels": sum(len(task.examples) for task in made.tasks),
                "tasks": {task.name: task.facts for task in made.tasks},
            }
        )
    return record


def _span(text: str, part: str) -> tuple[int, int]:
    start = text.index(part)
    return start, start + len(part)
